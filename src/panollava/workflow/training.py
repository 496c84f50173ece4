"""``ThreeStageTrainer``: Vision -> Resampler -> Finetune, or whatever the stage table says."""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from panollava.checkpoints.format import load_checkpoint
from panollava.config import dump_config
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.data.manifest import PanoramaSamples
from panollava.data.sources import ensure_synthetic, training_panoramas
from panollava.errors import ConfigError, unknown_name
from panollava.models.build import build_model
from panollava.training.stages import StageOutcome, run_stage
from panollava.workflow.configuration import WorkflowConfig, plain
from panollava.workflow.quiet import quiet_libraries

logger = logging.getLogger(__name__)


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

    def run(self, *, stages: Sequence[str] | None = None, start_from: str | Path | None = None) -> str:
        """Train and return the path of the last checkpoint; its parent is the stage's folder.

        Args:
            stages: Names of the stages to train; None for all of the table.
            start_from: A checkpoint to start from, instead of new parts.

        Raises:
            ConfigError: If the table has no such stage.
            PanollavaError: If data, models or training fail; see the message.
        """
        rows = [_sighted_parts_dropped(row) for row in self._rows(stages)] if self.blind else self._rows(stages)
        rows = [row for row in rows if row is not None]
        if not rows:
            raise ConfigError("no stage is left to train; the blind baseline needs a stage that trains the adapter")
        quiet_libraries()
        self._prepare()
        trained: set[str] = set()
        if start_from is not None:
            model, meta = load_checkpoint(Path(start_from))
            trained.update(meta.components)
        else:
            model = build_model(self.config, blind=self.blind)
        for row in rows:
            outcome = run_stage(
                model,
                row,
                self.config,
                train=training_panoramas(row.data or self.config.data.train, self.config, split="train"),
                val=self._validation(row),
                run_dir=self.run_dir,
                trained=trained,
            )
            self.outcomes.append(outcome)
            text = json.dumps([o.as_dict() for o in self.outcomes], indent=1)
            (self.run_dir / "stages.json").write_text(text, encoding="utf-8")
            val = "" if outcome.val_loss is None else f", validation {outcome.val_loss:.3f}"
            logger.info("  loss %.3f%s, %.0f s -> %s", outcome.final_loss, val, outcome.seconds, outcome.checkpoint)
        return self.outcomes[-1].checkpoint

    def _rows(self, names: Sequence[str] | None) -> list[StageConfig]:
        table = {row.name: row for row in self.config.stages}
        for name in names or ():
            if name not in table:
                raise ConfigError(unknown_name("stage", name, table))
        return [row for row in self.config.stages if names is None or row.name in names]

    def _prepare(self) -> None:
        ensure_synthetic(self.config)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        for row in self.config.stages:  # logs of an earlier run of the same name would mix with ours
            shutil.rmtree(self.run_dir / "logs" / row.name, ignore_errors=True)
        (self.run_dir / "config.yaml").write_text(dump_config(self.config), encoding="utf-8")

    def _validation(self, row: StageConfig) -> list[PanoramaSamples]:
        """Return the validation panoramas, with the question kinds that the stage trains on."""
        entries = list(self.config.data.val)
        kinds = {entry.kinds for entry in row.data or self.config.data.train}
        if len(kinds) == 1 and (only := kinds.pop()) is not None:
            entries = [entry.model_copy(update={"kinds": entry.kinds or only}) for entry in entries]
        return training_panoramas(entries, self.config, split="val")


def _sighted_parts_dropped(row: StageConfig) -> StageConfig | None:
    """Return a stage as the blind model can train it: its adapter alone; None if it has none."""
    if "adapter" not in row.trains or row.objective != "language":
        return None
    return row.model_copy(update={"trains": ("adapter",), "lr": {"adapter": row.lr["adapter"]}})
