"""Run a command again in one process for each device, under torchrun's agent: if one dies, it ends the others.

::

    panollava train ...                   the agent; trains nothing itself
      '-- panollava train ...  RANK 0     in a session of its own
      '-- panollava train ...  RANK 1
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panollava.config.schema import TrainerConfig

_AGENT = "PANOLLAVA_AGENT"
_AGENTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_LOOK_S = 0.2


def devices_of(trainer: "TrainerConfig") -> int:
    """Return how many devices of this machine a run takes, and so how many processes."""
    if isinstance(trainer.devices, int) and trainer.devices >= 1:
        return trainer.devices
    if trainer.accelerator in ("cpu", "mps"):
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def spread(words: Sequence[str], *, devices: int, pass_on: bool = False) -> int:
    """Run ``panollava`` with these words in several processes, and return the exit status of all.

    Args:
        words: The words of the command.
        devices: How many processes.
        pass_on: Send SIGUSR1 on to them; else it is not listened to, since SLURM sends it to every process of a step.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    os.environ[_AGENT] = str(os.getpid())
    before = {number: signal.getsignal(number) for number in _AGENTS}  # the agent takes and never gives them back
    signal.signal(signal.SIGUSR1, _send_on if pass_on else signal.SIG_IGN)
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
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        del os.environ[_AGENT]
    return 0


def end_with_agent() -> None:
    """End this process when the agent that :func:`spread` it is gone: killed, it cannot end it.

    Nobody would wait for it, and another run may begin in its folder: it ends at once, without a checkpoint.
    """
    agent = os.environ.get(_AGENT)
    if agent is None:
        return

    def watch() -> None:
        while os.getppid() == int(agent):
            time.sleep(_LOOK_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _send_on(number: int, _: object) -> None:
    """Send a signal to every process that this one started (Linux, where SLURM is)."""
    for task in Path("/proc/self/task").glob("*/children"):
        for pid in task.read_text(encoding="ascii").split():
            os.kill(int(pid), number)
