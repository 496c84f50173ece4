"""``EvaluationRunner``: find the checkpoint, answer the test set, score, write."""

import datetime
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from panollava.checkpoints.resolve import resolve_checkpoint
from panollava.config.schema import EvaluationConfig, PanollavaConfig
from panollava.data.manifest import Sample
from panollava.data.sources import ensure_synthetic, evaluation_samples
from panollava.data.writers import write_predictions_csv
from panollava.errors import DataError
from panollava.evaluation.model_scores import ModelPaths, model_metrics
from panollava.evaluation.panoramic import roll_scores, roll_trials
from panollava.evaluation.predict import answer
from panollava.evaluation.score import score
from panollava.inference.session import Session
from panollava.metrics import load_custom
from panollava.metrics.metric import Metric
from panollava.metrics.scene import spice_metric
from panollava.metrics.spice import SpiceSettings
from panollava.models.build import build_model
from panollava.models.protocol import PanoramaModel
from panollava.training.feeds import feature_store
from panollava.training.progress import progress_bar
from panollava.workflow.configuration import WorkflowConfig, plain
from panollava.workflow.quiet import quiet_libraries

logger = logging.getLogger(__name__)


class EvaluationRunner:
    """Evaluates checkpoints.

    Args:
        config: What to test on and how to generate; None for the configuration inside the checkpoint.
    """

    def __init__(self, config: WorkflowConfig | PanollavaConfig | None = None) -> None:
        self.config = None if config is None else plain(config)

    def run(
        self,
        *,
        checkpoint_dir: str | Path | None = None,
        csv: str | Path | None = None,
        blind_dir: str | Path | None = None,
        untrained: bool = False,
        out_dir: str | Path | None = None,
        facts: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Score a checkpoint; write ``predictions.csv`` and ``metrics.json``; return what the latter holds.

        Args:
            checkpoint_dir: A checkpoint or a folder that holds one; None: the run of the configuration.
            csv: Questions and references to test on; None: ``data.test`` of the configuration.
            blind_dir: A blind checkpoint to score on the same questions.
            untrained: Score the model as the configuration builds it, too: new parts at random, no adapter.
            out_dir: Where to write; None: the run's folder, or ``eval-<file>`` below it for a ``csv``.
            facts: More entries for ``metrics.json`` (seconds, memory).

        Raises:
            CheckpointError: If there is no checkpoint, or the choice is not unique.
            DataError: If the test set is unusable or empty.
        """
        quiet_libraries()
        started = time.monotonic()
        run_dir = self._run_dir(checkpoint_dir)
        folder = resolve_checkpoint(checkpoint_dir if checkpoint_dir is not None else run_dir)
        session = Session.load(folder)
        cfg = self.config or session.cfg
        if csv is None:
            ensure_synthetic(cfg)
        samples = evaluation_samples(cfg, manifest=Path(csv) if csv else None)
        if not samples:
            raise DataError("there is nothing to test on: data.test has no samples; give --csv-input or data.test")
        out = Path(out_dir) if out_dir else run_dir / f"eval-{Path(csv).stem}" if csv else run_dir
        out.mkdir(parents=True, exist_ok=True)
        scores = evaluate(session.model, samples, cfg, out=out / "predictions.csv", title="answering")
        blind = before = None
        if blind_dir is not None:
            twin = Session.load(resolve_checkpoint(blind_dir)).model
            blind = evaluate(twin, samples, cfg, out=out / "blind_predictions.csv", title="answering blind")
        if untrained:
            start = build_model(cfg).to(session.model.device)
            file = out / "untrained_predictions.csv"
            before = evaluate(start, samples, cfg, out=file, title="answering untrained")
        facts = dict(facts or {})
        metrics = {
            "format": 1,
            "experiment": cfg.experiment.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "checkpoint": str(folder),
            "test": {"panoramas": len({s.image_id for s in samples}), "questions": len(samples)},
            "model": scores,
            "blind": blind,
            "untrained": before,
            "tokens_per_panorama": session.model.token_count,
            "peak_memory_mb": peak_memory_mb(),
            **facts,
            "seconds": {**facts.get("seconds", {}), "evaluation": time.monotonic() - started},
        }
        (out / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")
        return metrics

    def _run_dir(self, checkpoint_dir: str | Path | None) -> Path:
        """Return the run's folder: that of the configuration, or the checkpoint's nearest folder with a config."""
        if checkpoint_dir is None:
            if self.config is None:
                raise DataError("give a checkpoint_dir, or a configuration that names a run")
            return Path(self.config.paths.runs) / self.config.experiment.name
        folder = Path(checkpoint_dir)
        for parent in (folder, *folder.parents[:2]):
            if (parent / "config.yaml").is_file():
                return parent
        return folder


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def evaluate(
    model: PanoramaModel, samples: list[Sample], cfg: PanollavaConfig, *, out: Path, title: str
) -> dict[str, Any]:
    """Answer and score; predictions are on disk before the first score is computed."""
    if cfg.trainer.threads is not None:
        torch.set_num_threads(cfg.trainer.threads)
    # Before the answers: a metric that cannot be read should not cost their time.
    custom = load_custom(f"{name}={place}" for name, place in cfg.evaluation.custom_metrics.items())
    store = feature_store(model, cfg)
    with progress_bar() as bar:
        task = bar.add_task(title, total=len(samples), note="questions")
        advance: Callable[[int, int], None] = lambda done, _: bar.update(task, completed=done)  # noqa: E731
        answers = answer(model, samples, cfg, store=store, progress=advance)
    # Absolute: a relative path is read as one below the file's own folder, and the images lie elsewhere.
    write_predictions_csv(out, [replace(s, image=s.image.resolve()) for s in answers.samples])
    scores = score(
        answers,
        metrics=cfg.evaluation.metrics,
        tokenizer=cfg.evaluation.tokenizer,
        custom=custom,
        prepared=prepared_metrics(cfg.evaluation),
    )
    if cfg.evaluation.rolls and not model.blind:
        scores["panoramic"] = _rolled(model, answers.samples, cfg)
    return scores


def prepared_metrics(evaluation: EvaluationConfig) -> dict[str, Metric]:
    """Return the metrics that need models or settings, with those that the configuration names."""
    models, spice = evaluation.models, evaluation.spice
    paths = ModelPaths(models.clip, models.dino, models.sbert, models.bert, models.bert_layer)
    folder = None if spice.corenlp is None else Path(spice.corenlp)
    settings = SpiceSettings(corenlp=folder, memory=spice.memory, timeout_s=spice.timeout_s)
    return {**model_metrics(paths, folder=Path()), "spice": spice_metric(settings)}


def _rolled(model: PanoramaModel, answered: list[Sample], cfg: PanollavaConfig) -> dict[str, Any]:
    """Ask again about rolled and mirrored panoramas, and score how the answers turn."""
    with progress_bar() as bar:
        task = bar.add_task("rolling", total=None, note="questions")
        advance: Callable[[int, int], None] = lambda done, all_: bar.update(task, completed=done, total=all_)  # noqa: E731
        trials = roll_trials(model, answered, cfg, progress=advance)
    return roll_scores(trials, rolls=cfg.evaluation.rolls)
