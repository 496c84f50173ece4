"""Find a checkpoint: from its own directory, a stage's, a run's, or that of many runs. Nothing is guessed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from panollava.checkpoints.durable import replaced
from panollava.checkpoints.listing import Listing, list_checkpoints, table
from panollava.checkpoints.manifest import MANIFEST, META
from panollava.checkpoints.meta import CheckpointMeta, peek_meta, read_meta
from panollava.errors import CheckpointError

logger = logging.getLogger(__name__)

MOST_LISTED = 30


class CheckpointResolver:
    """Finds checkpoints below a directory by what they say about themselves; weights are not read.

    Args:
        root: A run's directory (``runs/<name>``), that of many runs, or any directory that holds checkpoints.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def candidates(self, *, blind: bool = False) -> list[tuple[Path, CheckpointMeta]]:
        """Return every checkpoint below the root in the order of their paths, as (directory, meta).

        Those whose metadata are damaged are named in the log.
        """
        return [(found.folder, meta) for found, meta in self._readable(list_checkpoints(self.root), blind=blind)]

    def find(
        self,
        *,
        prefix: str | None = None,
        views: str | None = None,
        stage: str | None = None,
        epoch: int | None = None,
        step: int | None = None,
        which: str = "last",
    ) -> Path:
        """Return the one checkpoint that fits; without a stage, that of the last stage of its run.

        Args:
            prefix: How the name of the run (``experiment.name``) begins.
            views: Its layout: the kind (``e2p``), or more of what ``checkpoints list`` shows (``e2p overlap=0.5``).
            stage: Name of the stage.
            epoch: Complete epochs.
            step: Optimiser steps.
            which: ``last`` or ``best``: where neither epoch nor step is given, or both are of that epoch or step.

        Raises:
            CheckpointError: If none fits, or several do; the message lists the candidates.
        """
        if which not in ("last", "best"):
            raise CheckpointError(f"which is '{which}'; give 'last' or 'best'")
        all_ = list_checkpoints(self.root)
        moment = epoch is not None or step is not None
        fits = [
            (found, meta)
            for found, meta in self._readable(all_) or self._readable(all_, blind=True)
            if (prefix is None or meta.name.startswith(prefix))
            and (views is None or set(views.split()) <= set(meta.views.split()))
            and (stage is None or meta.stage == stage)
            and (epoch is None or meta.epoch == epoch)
            and (step is None or meta.step == step)
            and (moment or found.name == which or found.folder == self.root)
        ]
        if stage is None:
            fits = _of_latest_stages(fits)
        if moment:
            fits = _preferred(fits, which)
        if len(fits) != 1:
            asked: dict[str, object] = {"prefix": prefix, "views": views, "stage": stage}
            asked |= {"epoch": epoch, "step": step} if moment else {"which": which}
            raise self._not_one([found for found, _ in fits], all_, asked)
        return fits[0][0].folder

    def _readable(self, all_: Sequence[Listing], *, blind: bool = False) -> list[tuple[Listing, CheckpointMeta]]:
        for found in all_:
            if found.meta is None:
                logger.warning("%s", found.damage)
        return [(found, found.meta) for found in all_ if found.meta is not None and found.meta.blind == blind]

    def _not_one(self, fits: list[Listing], all_: list[Listing], asked: dict[str, object]) -> CheckpointError:
        wanted = ", ".join(f"{key}={value}" for key, value in asked.items() if value is not None)
        shown = fits or all_
        state = f"{len(fits)} checkpoints" if fits else "no checkpoint"
        more = f"\n... and {len(shown) - MOST_LISTED} more" if len(shown) > MOST_LISTED else ""
        advice = "Name one of them, or say more of what it is" if fits else "Candidates"
        listed = table(shown[:MOST_LISTED]) + more if shown else "(none)"
        return CheckpointError(f"{state} below {self.root} for {wanted}. {advice}:\n{listed}")


def _of_latest_stages(fits: list[tuple[Listing, CheckpointMeta]]) -> list[tuple[Listing, CheckpointMeta]]:
    """Keep those of the last stage of each run, in the order of its table of stages."""

    def run(pair: tuple[Listing, CheckpointMeta]) -> tuple[Path, str, bool]:
        found, meta = pair
        return found.folder.parent.parent, meta.name, meta.blind

    def place(pair: tuple[Listing, CheckpointMeta]) -> int:
        order = [str(row.get("name")) for row in pair[1].config.get("stages", [])]
        return order.index(pair[1].stage) if pair[1].stage in order else -1

    latest: dict[tuple[Path, str, bool], int] = {}
    for pair in fits:
        latest[run(pair)] = max(place(pair), latest.get(run(pair), -1))
    return [pair for pair in fits if place(pair) == latest[run(pair)]]


def _preferred(fits: list[tuple[Listing, CheckpointMeta]], which: str) -> list[tuple[Listing, CheckpointMeta]]:
    """Of several checkpoints of one moment of a stage, keep the named one."""
    stages = {(found.folder.parent, meta.stage) for found, meta in fits}
    named = [pair for pair in fits if pair[0].name == which]
    return named if len(stages) == 1 and len(named) == 1 else fits


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
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is a file; a checkpoint is a directory with a {MANIFEST}. Nothing else is read"
        )
    itself = (folder / MANIFEST).is_file() or (folder / META).is_file()
    return folder if itself else CheckpointResolver(folder).find()


def newest_valid(folders: Sequence[Path], *, run: str | None = None) -> tuple[Path, CheckpointMeta] | None:
    """Return the newest of several checkpoints that is whole; damaged ones are named in the log and passed over.

    Args:
        folders: Checkpoints of one stage, in any order: the largest step is the newest.
        run: Only those of this run.

    Returns:
        The checkpoint and what it says; None if there is none that is whole.
    """
    known = []
    for place, folder in enumerate(folders):
        try:
            meta = peek_meta(folder)
        except CheckpointError as error:
            logger.warning("%s", error)
            continue
        if run is None or meta.run == run:
            known.append((-meta.step, place, folder))
    for _, _, folder in sorted(known):
        try:
            return folder, read_meta(folder)
        except CheckpointError as error:
            logger.warning("%s", error)
    return None
