"""Find a checkpoint: from its own directory, a stage's directory, or a run's directory. Nothing is guessed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from panollava.checkpoints.format import MANIFEST, CheckpointMeta, read_meta, replaced
from panollava.errors import CheckpointError

logger = logging.getLogger(__name__)


class CheckpointResolver:
    """Finds checkpoints below a run's directory by what they say about themselves.

    Args:
        root: A run's directory (``runs/<name>``), or any directory that holds checkpoints.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def candidates(self, *, blind: bool = False) -> list[tuple[Path, CheckpointMeta]]:
        """Return every checkpoint below the root in the order of their paths, as (directory, meta)."""
        folders = [file.parent for file in sorted(self.root.rglob(MANIFEST)) if self._is_named(file.parent)]
        found = [(folder, read_meta(folder)) for folder in folders]
        return [(folder, meta) for folder, meta in found if meta.blind == blind]

    def find(
        self, *, stage: str | None = None, epoch: int | None = None, step: int | None = None, which: str = "last"
    ) -> Path:
        """Return the one checkpoint that fits; without a stage, that of the last stage of its configuration.

        Args:
            stage: Name of the stage.
            epoch: Complete epochs.
            step: Optimiser steps.
            which: ``last`` or ``best``: where neither epoch nor step is given, or both are of that epoch or step.

        Raises:
            CheckpointError: If none fits, or several do; the message lists the candidates.
        """
        all_ = self.candidates() or self.candidates(blind=True)
        fits = [
            (folder, meta)
            for folder, meta in all_
            if (stage is None or meta.stage == stage)
            and (epoch is None or meta.epoch == epoch)
            and (step is None or meta.step == step)
            and (epoch is not None or step is not None or _name(folder) == which or folder == self.root)
        ]
        if stage is None and len(fits) > 1:
            order = [str(row.get("name")) for row in fits[0][1].config.get("stages", [])]
            latest = max(order.index(meta.stage) if meta.stage in order else -1 for _, meta in fits)
            fits = [(f, m) for f, m in fits if m.stage in order and order.index(m.stage) == latest]
        named = [(f, m) for f, m in fits if _name(f) == which]
        fits = named if len(fits) > len(named) == 1 else fits  # last and best may be of one step
        if len(fits) != 1:
            moment = {"epoch": epoch, "step": step}
            asked = {"stage": stage, **(moment if any(v is not None for v in moment.values()) else {"which": which})}
            wanted = ", ".join(f"{key}={value}" for key, value in asked.items() if value is not None)
            listed = "\n".join(f"  {f} (stage {m.stage}, epoch {m.epoch}, step {m.step})" for f, m in all_)
            state = "no checkpoint" if not fits else f"{len(fits)} checkpoints"
            raise CheckpointError(f"{state} below {self.root} for {wanted}. Candidates:\n{listed or '  (none)'}")
        return fits[0][0]

    def _is_named(self, folder: Path) -> bool:
        """Whether a folder has a checkpoint's name: not one being written, nor one whose successor has its name."""
        *above, last = ("", *folder.relative_to(self.root).parts)
        hidden = last.startswith(".") and not _is_stranded(folder)
        return not hidden and not any(part.startswith(".") for part in above)


def _name(folder: Path) -> str:
    return folder.name[1 : -len(".old")] if _is_stranded(folder) else folder.name


def _is_stranded(folder: Path) -> bool:
    """Whether this is a replaced checkpoint whose successor never took its name: a crash came between."""
    if not (folder.name.startswith(".") and folder.name.endswith(".old")):
        return False
    named = folder.with_name(folder.name[1 : -len(".old")])
    return folder == replaced(named) and not named.exists()


def resolve_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint at ``path``: itself, or the last one of the last stage below it.

    Raises:
        CheckpointError: If there is none, or the choice is not unique.
    """
    folder = Path(path)
    if folder.name and not folder.exists() and (replaced(folder) / MANIFEST).is_file():
        return replaced(folder)
    if not folder.exists():
        raise CheckpointError(f"{folder} does not exist; give a checkpoint or a directory that holds one")
    return folder if (folder / MANIFEST).is_file() else CheckpointResolver(folder).find()


def newest_valid(folders: Sequence[Path], *, run: str | None = None) -> tuple[Path, CheckpointMeta] | None:
    """Return the first of several checkpoints, newest first, that is whole and of this run; name the damaged ones."""
    for folder in folders:
        try:
            meta = read_meta(folder)
        except CheckpointError as error:
            logger.warning("%s", error)
            continue
        if run is None or meta.run == run:
            return folder, meta
    return None
