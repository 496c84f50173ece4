"""Find a checkpoint: from its own directory, a stage's directory, or a run's directory. Nothing is guessed."""

from pathlib import Path

from panollava.checkpoints.format import MANIFEST, CheckpointMeta, read_meta
from panollava.errors import CheckpointError


class CheckpointResolver:
    """Finds checkpoints below a run's directory by what they say about themselves.

    Args:
        root: A run's directory (``runs/<name>``), or any directory that holds checkpoints.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def candidates(self, *, blind: bool = False) -> list[tuple[Path, CheckpointMeta]]:
        """Return every checkpoint below the root, oldest stage first, as (directory, meta)."""
        found = [(file.parent, read_meta(file.parent)) for file in sorted(self.root.rglob(MANIFEST))]
        return [
            (folder, meta)
            for folder, meta in found
            if meta.blind == blind and not any(part.startswith(".") for part in folder.relative_to(self.root).parts)
        ]

    def find(
        self, *, stage: str | None = None, epoch: int | None = None, step: int | None = None, which: str = "last"
    ) -> Path:
        """Return the one checkpoint that fits; without a stage, that of the last stage of its configuration.

        Args:
            stage: Name of the stage.
            epoch: Complete epochs.
            step: Optimiser steps.
            which: ``last`` or ``best``, where neither epoch nor step is given.

        Raises:
            CheckpointError: If none fits, or several do; the message lists the candidates.
        """
        all_ = self.candidates()
        fits = [
            (folder, meta)
            for folder, meta in all_
            if (stage is None or meta.stage == stage)
            and (epoch is None or meta.epoch == epoch)
            and (step is None or meta.step == step)
            and (epoch is not None or step is not None or folder.name == which or folder == self.root)
        ]
        if stage is None and len(fits) > 1:
            order = [str(row.get("name")) for row in fits[0][1].config.get("stages", [])]
            latest = max(order.index(meta.stage) if meta.stage in order else -1 for _, meta in fits)
            fits = [(f, m) for f, m in fits if m.stage in order and order.index(m.stage) == latest]
        if len(fits) != 1:
            wanted = ", ".join(
                f"{k}={v}" for k, v in (("stage", stage), ("epoch", epoch), ("step", step), ("which", which)) if v
            )
            listed = "\n".join(f"  {f} (stage {m.stage}, epoch {m.epoch}, step {m.step})" for f, m in all_)
            state = "no checkpoint" if not fits else f"{len(fits)} checkpoints"
            raise CheckpointError(
                f"{state} below {self.root} for {wanted}. Candidates:\n{listed or '  (none)'}"
            )
        return fits[0][0]


def resolve_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint at ``path``: itself, or the last one of the last stage below it.

    Raises:
        CheckpointError: If there is none, or the choice is not unique.
    """
    folder = Path(path)
    if not folder.exists():
        raise CheckpointError(f"{folder} does not exist; give a checkpoint or a directory that holds one")
    return folder if (folder / MANIFEST).is_file() else CheckpointResolver(folder).find()
