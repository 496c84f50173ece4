"""Remove checkpoints that newer ones have made superfluous."""

import shutil
from pathlib import Path


def prune(folder: Path, *, keep: int) -> None:
    """Keep the newest checkpoints inside a stage, and remove the others."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)
