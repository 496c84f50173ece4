"""``ThreeStageTrainer``: Vision -> Resampler -> Finetune, or whatever the stage table says."""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from panollava.checkpoints.durable import write_aside
from panollava.checkpoints.format import load_checkpoint
from panollava.config import dump_config
from panollava.config.schema import DataEntry, PanollavaConfig, StageConfig
from panollava.data.bad_images import rows_named
from panollava.data.manifest import PanoramaSamples
from panollava.data.sources import ensure_synthetic, training_panoramas
from panollava.errors import ConfigError, unknown_name
from panollava.models.build import build_model
from panollava.models.vlm import PanoramaVLM
from panollava.training import ranks
from panollava.training.interrupt import was_requeued
from panollava.training.shard import is_sharded
from panollava.training.stages import StageOutcome, run_stage
from panollava.workflow.configuration import WorkflowConfig, plain
from panollava.workflow.quiet import quiet_libraries
from panollava.workflow.standing import Standing, begin, complete, identity, reported, standing

logger = logging.getLogger(__name__)

_LET_GO_S = 30.0
"""How long the folder of a killed run may stay locked: its loader processes end when they see that it is gone."""


class ThreeStageTrainer:
    """Trains the stages of a configuration, each from where the one before stopped.

    Args:
        config: The configuration.
        blind: Train the text-only baseline instead: the language stages that train the adapter, without a panorama.
    """

    def __init__(self, config: WorkflowConfig | PanollavaConfig, *, blind: bool = False) -> None:
        self.config = plain(config)
        self.blind = blind
        self.run_dir = Path(self.config.paths.runs) / self.config.experiment.name
        if blind:
            self.run_dir = self.run_dir / "blind"
        self.outcomes: list[StageOutcome] = []
        self._lock = FileLock(self.run_dir.with_name(f".{self.run_dir.name}.train.lock"))
        self._read: dict[tuple[str, tuple[DataEntry, ...]], list[PanoramaSamples]] = {}

    def run(
        self,
        *,
        stages: Sequence[str] | None = None,
        start_from: str | Path | None = None,
        resume: str | None = None,
    ) -> str:
        """Train and return the path of the last checkpoint; its parent is the stage's folder.

        Args:
            stages: Names of the stages to train; None for all of the table.
            start_from: A checkpoint to start from, instead of new parts.
            resume: ``auto``: go on where the run of this name stopped, or begin; ``never``: begin, whatever is there;
                None: begin, but refuse to overwrite a run that was interrupted (in a requeued SLURM job: ``auto``).

        Raises:
            ConfigError: If the table has no such stage, the run to resume was made with other settings, or another
                process trains in its folder.
            CheckpointError: If every checkpoint that could be resumed is damaged.
            Interrupted: If a signal stopped it; its checkpoint is written.
            PanollavaError: If data, models or training fail; see the message.
        """
        try:
            return self._trained(stages, start_from, resume)
        finally:
            self._lock.release()

    def _trained(self, stages: Sequence[str] | None, start_from: str | Path | None, resume: str | None) -> str:
        """Train and return the path of the last checkpoint."""
        rows = [_sighted_parts_dropped(row) for row in self._rows(stages)] if self.blind else self._rows(stages)
        rows = [row for row in rows if row is not None]
        if not rows:
            raise ConfigError("no stage is left to train; the blind baseline needs a stage that trains the adapter")
        quiet_libraries()
        ranks.join(accelerator=self.config.trainer.accelerator)
        if ranks.planned() > 1:
            logger.info("%d processes share each batch", ranks.planned())
        with ranks.lead_first():
            ensure_synthetic(self.config)
        run, at = self._agreed_beginning(rows, resume)
        left = [row for row in rows if row.name not in at.done]
        if not left:
            logger.info("%s is complete; nothing is left to train", self.run_dir)
            self._complete(run)
            return self.outcomes[-1].checkpoint
        model, trained = self._model(at.checkpoint or start_from)
        for row in left:
            with ranks.lead_first():
                train = self._panoramas(row.data or self.config.data.train, split="train")
                val = self._validation(row)
            with rows_named([*train, *val]):
                outcome = run_stage(
                    model,
                    row,
                    self.config,
                    train=train,
                    val=val,
                    run_dir=self.run_dir,
                    trained=trained,
                    resume=at.checkpoint if row.name == at.inside else None,
                    run=run,
                )
            self._note(outcome)
            if is_sharded(model):  # what was sharded for one stage cannot be made whole for the next
                model, trained = self._model(outcome.checkpoint)
        self._complete(run)
        return self.outcomes[-1].checkpoint

    def _agreed_beginning(self, rows: Sequence[StageConfig], resume: str | None) -> tuple[str, Standing]:
        """Let the lead look where the run is, and every process begin there."""
        if ranks.is_lead():
            self._claim()
            run, at = self._beginning(rows, resume)
            ranks.from_lead(json.dumps([run, at.as_dict(), [o.as_dict() for o in self.outcomes]]))
            return run, at
        run, told, outcomes = json.loads(ranks.from_lead(""))
        self.outcomes = [StageOutcome.read(tree) for tree in outcomes]
        return run, Standing.read(told)

    def _complete(self, run: str) -> None:
        if ranks.is_lead():
            complete(self.run_dir, run)

    def _claim(self) -> None:
        """Take the run's folder; what an earlier process left takes a moment to end."""
        try:
            self._lock.acquire(timeout=_LET_GO_S)
        except Timeout:
            raise ConfigError(
                f"another process trains in {self.run_dir}; wait for it, stop it, or write another experiment.name"
            ) from None
        except (NotImplementedError, OSError) as error:
            logger.warning("%s is not locked against another run: %s", self.run_dir, error)

    def _beginning(self, rows: Sequence[StageConfig], resume: str | None) -> tuple[str, Standing]:
        """Return the identity of the run, and where it is; leave the folder ready for what follows."""
        if resume not in (None, "auto", "never"):
            raise ConfigError(f"resume is '{resume}'; allowed: auto, never")
        known = identity(self.run_dir)
        if resume == "auto" or (resume is None and was_requeued()):
            if known is not None:
                return known[0], self._resumed(standing(self.run_dir, rows, self.config, run=known[0]), rows)
            logger.info("%s holds no run yet; beginning", self.run_dir)
        elif resume is None and known is not None and not known[1]:
            self._refuse_to_overwrite(rows, run=known[0])
        self.run_dir.mkdir(parents=True, exist_ok=True)
        (self.run_dir / "stages.json").unlink(missing_ok=True)
        for row in self.config.stages:  # logs of an earlier run of the same name would mix with ours
            shutil.rmtree(self.run_dir / "logs" / row.name, ignore_errors=True)
        if known is not None and not self.blind:  # the text-only baseline of the run before is not this one's
            shutil.rmtree(self.run_dir / "blind", ignore_errors=True)
        self._write_config()
        return begin(self.run_dir), Standing()

    def _resumed(self, at: Standing, rows: Sequence[StageConfig]) -> Standing:
        """Take up what the complete stages reported, and say where the run goes on."""
        self._write_config()
        self.outcomes = [reported(self.run_dir, row.name) for row in rows if row.name in at.done]
        if at.checkpoint is not None:
            logger.info("resuming %s from %s", self.run_dir, at.checkpoint)
        return at

    def _model(self, start: str | Path | None) -> tuple[PanoramaVLM, set[str]]:
        """Return the model to train, and which of its components are trained already."""
        if start is None:
            return build_model(self.config, blind=self.blind), set()
        model, meta = load_checkpoint(Path(start))
        return model, set(meta.components)

    def _note(self, outcome: StageOutcome) -> None:
        """Report a stage, on the log and in ``stages.json``."""
        self.outcomes.append(outcome)
        if not ranks.is_lead():
            return
        text = json.dumps([o.as_dict() for o in self.outcomes], indent=1)
        write_aside(self.run_dir / "stages.json", text)
        val = "" if outcome.val_loss is None else f", validation {outcome.val_loss:.3f}"
        logger.info("  loss %.3f%s, %.0f s -> %s", outcome.final_loss, val, outcome.seconds, outcome.checkpoint)

    def _rows(self, names: Sequence[str] | None) -> list[StageConfig]:
        table = {row.name: row for row in self.config.stages}
        for name in names or ():
            if name not in table:
                raise ConfigError(unknown_name("stage", name, table))
        return [row for row in self.config.stages if names is None or row.name in names]

    def _write_config(self) -> None:
        file, text = self.run_dir / "config.yaml", dump_config(self.config)
        if not file.is_file() or file.read_bytes() != text.encode():
            write_aside(file, text)

    def _refuse_to_overwrite(self, rows: Sequence[StageConfig], *, run: str) -> None:
        """Raise where a run of this name was interrupted and could be resumed."""
        at = standing(self.run_dir, rows, self.config, run=run)
        if at.checkpoint is not None:
            raise ConfigError(
                f"{self.run_dir} holds a run that was interrupted; its last checkpoint is {at.checkpoint}. "
                "Add --resume auto to go on from there, or --resume never to start it again"
            )

    def _validation(self, row: StageConfig) -> list[PanoramaSamples]:
        """Return the validation panoramas, with the question kinds that the stage trains on."""
        entries = list(self.config.data.val)
        kinds = {entry.kinds for entry in row.data or self.config.data.train}
        if len(kinds) == 1 and (only := kinds.pop()) is not None:
            entries = [entry.model_copy(update={"kinds": entry.kinds or only}) for entry in entries]
        return self._panoramas(entries, split="val")

    def _panoramas(self, entries: Sequence[DataEntry], *, split: str) -> list[PanoramaSamples]:
        """Return the panoramas of entries, read once for all stages: one that turns bad later is an error, not gone."""
        key = (split, tuple(entries))
        if key not in self._read:
            self._read[key] = training_panoramas(entries, self.config, split=split)
        return self._read[key]


def _sighted_parts_dropped(row: StageConfig) -> StageConfig | None:
    """Return a stage as the blind model can train it: its adapter alone; None if it has none."""
    if "adapter" not in row.trains or row.objective != "language":
        return None
    return row.model_copy(update={"trains": ("adapter",), "lr": {"adapter": row.lr["adapter"]}})
