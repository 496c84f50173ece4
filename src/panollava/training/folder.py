"""The folder of a stage in a run: what is in it while the stage runs, and afterwards.

::

    <run>/<stage>/step-000120/    weights and state inside the stage; the newest few, gone when it is complete
                  best/           weights of the best validation, where trainer.val_every looks for it
                  last/           weights at the end of the stage
"""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from panollava.checkpoints.durable import remove
from panollava.checkpoints.format import read_meta, save_checkpoint
from panollava.checkpoints.prune import prune
from panollava.checkpoints.state import TrainingState
from panollava.config import to_dict
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.data.manifest import PanoramaSamples
from panollava.errors import CheckpointError
from panollava.models.vlm import PanoramaVLM
from panollava.training.fit import Save
from panollava.training.ranks import barrier, is_lead

STEP = "step-"


@dataclass(frozen=True)
class StageFolder:
    """Writes the checkpoints of a stage.

    Attributes:
        folder: ``<run>/<stage>``.
        model: The model.
        stage: The row of the stage table, as it runs.
        config: The whole configuration.
        trained: Components trained by this stage or one before.
        data: Hash of what it trains on.
        run: Identity of the run.
        before_s: Seconds that the stage ran before it was stopped.
    """

    folder: Path
    model: PanoramaVLM
    stage: StageConfig
    config: PanollavaConfig
    trained: frozenset[str]
    data: str
    run: str
    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def open(self, resume: Path | None) -> None:
        """Remove what an earlier run of the same name left, unless this one goes on from it.

        Raises:
            CheckpointError: If that was trained on other data.
        """
        if not is_lead():
            return
        if resume is not None:
            if read_meta(resume).data != self.data:
                raise CheckpointError(
                    f"{resume} was trained on other data: panoramas, questions, answers or their order have changed. "
                    "Give the old data, or start again with --resume never"
                )
        else:
            for old in [self.folder / "best", *self.folder.glob(f"{STEP}*")]:
                if old.is_dir():
                    remove(old)

    def seconds(self) -> float:
        """Return the seconds that the stage has run."""
        return self.before_s + time.monotonic() - self.started

    def save(self, what: Save, *, epoch: int, val_loss: float | None, outcome: dict[str, Any] | None = None) -> str:
        """Write a checkpoint and return its path; drop those that it makes superfluous.

        Args:
            what: Its name, step, and state to go on from.
            epoch: Epochs begun.
            val_loss: Validation loss, if known.
            outcome: What the stage did, once it is complete.

        Raises:
            CheckpointError: If it cannot be written; those before it are as they were.
        """
        inside = what.state is not None
        path = self.folder / (f"{STEP}{what.step:06d}" if inside else what.name)
        if is_lead():
            self._write(path, what, epoch=epoch, val_loss=val_loss, outcome=outcome)
        barrier()
        return str(path)

    def _write(
        self, path: Path, what: Save, *, epoch: int, val_loss: float | None, outcome: dict[str, Any] | None
    ) -> None:
        state = what.state or TrainingState({}, {})
        facts = {
            "run": self.run,
            "seconds": self.seconds(),
            "batch_size": self.stage.batch_size,
            "accumulation": self.stage.accumulation,
            "outcome": outcome,
        }
        save_checkpoint(
            self.model,
            path,
            config=to_dict(self.config),
            stage=self.stage.name,
            epoch=epoch,
            step=what.step,
            trained=set(self.trained),
            val_loss=val_loss,
            training=TrainingState(state.tensors, {**state.values, **facts}),
            finished=what.name == "last",
            data=self.data,
            run=self.run,
        )
        if what.state is not None:
            prune(self.folder, keep=self.config.trainer.keep_checkpoints)
        if what.name == "last":
            for old in self.folder.glob(f"{STEP}*"):
                remove(old)


def data_hash(panoramas: Iterable[PanoramaSamples]) -> str:
    """Return the sha256 of which panoramas are trained on, in which order, with which questions and answers."""
    digest = hashlib.sha256()
    for panorama in panoramas:
        for s in panorama.samples:
            digest.update(json.dumps([s.image_id, s.sample_id, s.query, s.answer]).encode())
    return digest.hexdigest()
