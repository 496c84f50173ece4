"""What the finished runs of a study left behind, and what they cost."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from panollava.ablation.figures import ACCURACY, PERPLEXITY, Scored, run_figures
from panollava.ablation.folder import DONE, RunRecord, StudyRecord
from panollava.errors import DataError, PanollavaError
from panollava.evaluation.report_run import Run, StageRecord, read_run
from panollava.evaluation.report_scores import ModelScores, parse_scores, read_json

logger = logging.getLogger(__name__)

Failures = Mapping[str, tuple[tuple[RunRecord, str], ...]]
"""Per arm the runs that give no score, with the reason."""


@dataclass(frozen=True, slots=True)
class StudyRun:
    """A finished run.

    Attributes:
        record: how the study's file tells it.
        run: its folder, read as its own report reads it.
        figures: its scores with what stands behind them.
        shuffled: the same model asked with another panorama's image for every question; None where it was not.
    """

    record: RunRecord
    run: Run
    figures: Mapping[str, Scored]
    shuffled: ModelScores | None


@dataclass(frozen=True, slots=True)
class Costs:
    """What an arm costs, as means over its runs; None where it was not recorded.

    Attributes:
        tokens: vision tokens of a panorama.
        seconds_per_panorama: of evaluation, every model that answered and the scoring with it.
        training_seconds: of the stages that the run trained itself.
        peak_memory_mb: resident memory of the process, in MiB.
        trained_parameters: of all stages, each parameter once.
    """

    tokens: float | None = None
    seconds_per_panorama: float | None = None
    training_seconds: float | None = None
    peak_memory_mb: float | None = None
    trained_parameters: int | None = None


def read_runs(study: StudyRecord) -> tuple[dict[str, dict[int, StudyRun]], Failures]:
    """Read every finished run; one whose files are damaged is told among the failed."""
    runs: dict[str, dict[int, StudyRun]] = {}
    failed: dict[str, tuple[tuple[RunRecord, str], ...]] = {}
    for arm in study.arms:
        runs[arm.name] = {}
        broken = []
        for record in arm.runs:
            if record.status != DONE:
                broken.append((record, record.error or f"the run is {record.status}"))
                continue
            try:
                runs[arm.name][record.seed] = _read(record)
            except PanollavaError as error:
                logger.warning("%s: %s", record.place, error)
                broken.append((record, str(error)))
        failed[arm.name] = tuple(broken)
    return runs, failed


def _read(record: RunRecord) -> StudyRun:
    run = read_run(record.folder)
    if run.predictions is None:
        raise DataError(f"{record.folder / 'predictions.csv'}: there is no such file. Evaluate the run again.")
    path = record.folder / "predictions.csv"
    figures = run_figures(path, run.predictions, run.scores.model, tokenizer=_tokenizer(run.config))
    return StudyRun(record, run, figures, _shuffled(record.folder))


def _tokenizer(config: str | None) -> str | None:
    content: Any = yaml.safe_load(config) if config else None
    evaluation = content.get("evaluation") if isinstance(content, dict) else None
    return evaluation.get("tokenizer") if isinstance(evaluation, dict) else None


def _shuffled(folder: Path) -> ModelScores | None:
    path = folder / "shuffled.json"
    if not path.is_file():
        return None
    content = read_json(folder / "metrics.json")
    return parse_scores({**content, "model": read_json(path)}, source=str(path)).model


def value_of(scores: ModelScores | None, metric: str) -> float | None:
    """Return one score of a model by its name; None where it has none."""
    if scores is None:
        return None
    if metric == ACCURACY:
        return scores.accuracy
    if metric == PERPLEXITY:
        return scores.perplexity
    return next((score.value for score in scores.captions if score.name == metric), None)


def costs_of(runs: Sequence[StudyRun]) -> Costs:
    """Return what an arm costs."""
    scores = [run.run.scores for run in runs]
    memory = [run.record.peak_memory_mb or run.run.scores.peak_memory_mb for run in runs]
    trained = [trained_parameters(run.run.stages) for run in runs if run.run.stages]
    stages = [sum(s.seconds for s in run.run.stages) for run in runs if run.run.stages]
    return Costs(
        tokens=_mean([s.tokens_per_panorama for s in scores]),
        seconds_per_panorama=_mean(
            [s.seconds["evaluation"] / s.panoramas for s in scores if "evaluation" in s.seconds and s.panoramas]
        ),
        training_seconds=_mean(stages),
        peak_memory_mb=_mean(memory),
        trained_parameters=max(trained) if trained else None,
    )


def trained_parameters(stages: Sequence[StageRecord]) -> int:
    """Return how many parameters the stages trained; a component trained twice counts once."""
    largest: dict[str, int] = {}
    for stage in stages:
        for component, count in stage.trainable.items():
            largest[component] = max(count, largest.get(component, 0))
    return sum(largest.values())


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
