"""Remove checkpoints inside stages that newer ones have made superfluous. ``last`` and ``best`` are never touched."""

from pathlib import Path

from panollava.checkpoints.durable import remove
from panollava.checkpoints.listing import age_days, look
from panollava.errors import CheckpointError

STEP = "step-"


def prune(stage: Path, *, keep: int, max_age_days: float | None = None, dry_run: bool = False) -> list[Path]:
    """Remove the checkpoints inside a stage that are older than the newest few whole ones; return them.

    The newest whole one always stays, whatever its age; a damaged one counts for nothing, and goes once it is older
    than those that are kept.

    Args:
        stage: The folder of a stage, with ``step-000120`` and its like.
        keep: How many to keep, at least 1.
        max_age_days: Remove those, too, that were written longer ago; None: whatever their age.
        dry_run: Remove nothing; only tell what would be.

    Raises:
        CheckpointError: If ``keep`` is below 1, or one cannot be removed.
    """
    if keep < 1:
        raise CheckpointError(f"keep is {keep}; the newest checkpoint always stays, so it must be at least 1")
    steps = step_folders(stage)
    if len(steps) <= keep and max_age_days is None:  # nothing to remove: nothing to read
        return []
    whole, superfluous = 0, []
    for folder in steps:
        if whole == keep:
            superfluous.append(folder)
            continue
        found = look(folder, verify=True)
        if found.damage is not None:
            continue
        if whole and max_age_days is not None and age_days(found.meta, folder) > max_age_days:
            superfluous.append(folder)
        else:
            whole += 1
    if not whole:
        return []
    for folder in () if dry_run else superfluous:
        remove(folder)
    return superfluous


def step_folders(stage: Path) -> list[Path]:
    """Return the checkpoints inside a stage by the step in their names, newest first."""
    numbered = [(int(f.name.removeprefix(STEP)), f) for f in stage.glob(f"{STEP}*") if _is_step(f)]
    return [folder for _, folder in sorted(numbered, reverse=True)]


def _is_step(folder: Path) -> bool:
    return folder.name.removeprefix(STEP).isdecimal() and folder.is_dir() and not folder.is_symlink()
