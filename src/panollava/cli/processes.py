"""One command for one device or many: where the configuration names several, start a process for each."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from panollava.errors import ConfigError
from panollava.training.spread import devices_of, end_with_agent, spread

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
        end_with_agent()
        return None
    devices = devices_of(config.trainer)
    if config.trainer.num_nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes is {config.trainer.num_nodes}: start the command on every machine with torchrun "
            f"--nnodes {config.trainer.num_nodes} --nproc-per-node {devices} --rdzv-backend c10d --rdzv-endpoint "
            "FIRST_MACHINE:29500 -m panollava ... (docs/scaling.md has a SLURM script)"
        )
    return None if devices == 1 else spread(sys.argv[1:] if words is None else words, devices=devices)


def is_first() -> bool:
    """Whether this process speaks for all."""
    return os.environ.get("RANK", "0") == "0"
