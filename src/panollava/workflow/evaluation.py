"""``EvaluationRunner``: find the checkpoint, answer the test set, score, write."""

import datetime
import hashlib
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from panollava.checkpoints.format import MANIFEST
from panollava.checkpoints.resolve import resolve_checkpoint
from panollava.config import dump_config
from panollava.config.schema import EvaluationConfig, PanollavaConfig
from panollava.data.bad_images import rows_named
from panollava.data.manifest import Sample
from panollava.data.sources import ensure_synthetic, held_out, record_held_out
from panollava.data.writers import write_predictions_csv
from panollava.errors import DataError
from panollava.evaluation.identity import answers_identity, file_hash
from panollava.evaluation.journal import Journal
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
from panollava.workflow.foreign import without_code
from panollava.workflow.quiet import quiet_libraries

logger = logging.getLogger(__name__)


class EvaluationRunner:
    """Evaluates checkpoints.

    Args:
        config: What to test on and how to generate; None for the configuration inside the checkpoint, without what
            it may name to be run (``workflow.foreign``).
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

        A run that was stopped goes on where it was, as long as checkpoint, test set and settings are the same.

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
        cfg = self.config or without_code(session.cfg, origin=folder)
        if csv is None:
            ensure_synthetic(cfg)
        found = held_out(cfg, manifest=Path(csv) if csv else None)
        samples = found.samples
        if not samples:
            raise DataError("there is nothing to test on: data.test has no samples; give --csv-input or data.test")
        out = Path(out_dir) if out_dir else run_dir / f"eval-{Path(csv).stem}" if csv else run_dir
        out.mkdir(parents=True, exist_ok=True)
        record_held_out(out, found, cfg)
        asked = _Examination(samples, cfg, out)
        scores = asked.score(session.model, checkpoint=file_hash(folder / MANIFEST))
        blind = before = None
        if blind_dir is not None:
            other = resolve_checkpoint(blind_dir)
            blind = asked.score(Session.load(other).model, checkpoint=file_hash(other / MANIFEST), who="blind")
        if untrained:
            start = build_model(cfg).to(session.model.device)
            recipe = hashlib.sha256(dump_config(cfg).encode()).hexdigest()
            before = asked.score(start, checkpoint=f"untrained {recipe}", who="untrained")
        facts = dict(facts or {})
        metrics = {
            "format": 1,
            "experiment": cfg.experiment.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "checkpoint": str(folder),
            "test": {
                "panoramas": len({s.image_id for s in samples}),
                "questions": len(samples),
                "skipped": found.skipped_questions,
            },
            "model": scores,
            "blind": blind,
            "untrained": before,
            "tokens_per_panorama": session.model.token_count,
            "peak_memory_mb": peak_memory_mb(),
            **facts,
            "seconds": {**facts.get("seconds", {}), "evaluation": time.monotonic() - started},
        }
        _replace(out / "metrics.json", json.dumps(metrics, indent=1))
        asked.forget()
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


@dataclass(slots=True)
class _Examination:
    """The same questions to several models; answers are kept until every score is on disk."""

    samples: list[Sample]
    cfg: PanollavaConfig
    out: Path
    journals: list[Journal] = field(default_factory=list)

    def score(self, model: PanoramaModel, *, checkpoint: str, who: str = "") -> dict[str, Any]:
        """Answer, or go on answering, and score.

        Args:
            model: The model.
            checkpoint: A hash of it.
            who: What the model is, if not the one that was trained; names the files.
        """
        name = f"{who}_predictions" if who else "predictions"
        if self.cfg.trainer.threads is not None:
            torch.set_num_threads(self.cfg.trainer.threads)
        header = answers_identity(self.samples, self.cfg, checkpoint=checkpoint, device=model.device)
        with Journal(self.out / f"{name}.partial.jsonl", header=header) as journal:
            self.journals.append(journal)
            file, title = self.out / f"{name}.csv", f"answering {who}".strip()
            return evaluate(model, self.samples, self.cfg, out=file, title=title, journal=journal)

    def forget(self) -> None:
        """Remove the journals."""
        for journal in self.journals:
            journal.remove()


def _replace(file: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    aside = file.with_name(f".{file.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(file)


def peak_memory_mb() -> float:
    """Return the largest resident memory so far of this process, or of one that it started and waited for, in MiB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def evaluate(
    model: PanoramaModel,
    samples: list[Sample],
    cfg: PanollavaConfig,
    *,
    out: Path,
    title: str,
    journal: Journal | None = None,
) -> dict[str, Any]:
    """Answer and score; predictions are on disk before the first score is computed.

    Args:
        model: The model.
        samples: Questions with references.
        cfg: How to answer and what to measure.
        out: The file of predictions.
        title: What to call the progress bar.
        journal: Keeps answers as they come.
    """
    # Before the answers: a metric that cannot be read should not cost their time.
    custom = load_custom(f"{name}={place}" for name, place in cfg.evaluation.custom_metrics.items())
    store = feature_store(model, cfg)
    with progress_bar() as bar, rows_named(samples):
        task = bar.add_task(title, total=len(samples), note="questions")
        advance: Callable[[int, int], None] = lambda done, _: bar.update(task, completed=done)  # noqa: E731
        answers = answer(model, samples, cfg, store=store, progress=advance, journal=journal)
    # Absolute: a relative path is read as one below the file's own folder, and the images lie elsewhere.
    rows = [replace(s, image=s.image.resolve()) for s in answers.samples]
    write_predictions_csv(out, rows, likelihood=zip(answers.nll, answers.tokens, strict=True))
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
