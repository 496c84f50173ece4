"""One command for one device or many: where the configuration names several, start a process for each."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from panollava.errors import ConfigError

if TYPE_CHECKING:
    from panollava.config import PanollavaConfig


def started(config: "PanollavaConfig", *, words: Sequence[str] | None = None) -> int | None:
    """Run this command again in one process for each device, and return its exit status; None: go on in this one.

    Args:
        config: The configuration; ``trainer.devices`` and ``trainer.accelerator`` say how many.
        words: The command's words; None: those of this process.

    Raises:
        ConfigError: If several machines are named: each has to be told where the first one is.
    """
    if "WORLD_SIZE" in os.environ:
        return None
    devices = _devices(config)
    if config.trainer.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes is {config.trainer.num_nodes}: start the command on every machine with torchrun "
            f"--nnodes {config.trainer.num_nodes} --nproc-per-node {devices} --rdzv-backend c10d --rdzv-endpoint "
            "FIRST_MACHINE:29500 -m panollava ... (docs/scaling.md has a SLURM script)"
        )
    return None if devices == 1 else _spread(list(sys.argv[1:] if words is None else words), devices=devices)


def is_first() -> bool:
    """Whether this process speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def _devices(config: "PanollavaConfig") -> int:
    wanted = config.trainer.devices
    if isinstance(wanted, int) and wanted >= 1:
        return wanted
    if config.trainer.accelerator in ("cpu", "mps"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _spread(words: list[str], *, devices: int) -> int:
    """Let torchrun's agent run the command in several processes; if one dies, it ends the others."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # SLURM sends it to every process; the workers answer it
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id="panollava",
        max_restarts=0,
        monitor_interval=0.2,
    )
    try:
        elastic_launch(settings, sys.executable)("-m", "panollava", *words)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0
