"""The scores of a run for the terminal, in 80 columns: accuracy by kind of question, then text metrics."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from panollava.evaluation.report_scores import CaptionScore, ModelScores, RunScores, parse_scores
from panollava.evaluation.report_text import count, counted, difference, percent, points, six_decimals
from panollava.metrics.suite import METRICS


def score_table(metrics: Mapping[str, Any]) -> Table:
    """Return accuracy by kind of question: untrained, model, blind baseline, their difference, chance, questions.

    Args:
        metrics: The content of metrics.json.

    Raises:
        DataError: The content is not that of metrics.json; the message names the key.
    """
    scores = parse_scores(metrics)
    model = scores.model
    left = f"\n{counted(scores.skipped, 'question')} left out: the image cannot be used" if scores.skipped else ""
    table = Table(
        title=f"Accuracy on {counted(scores.panoramas, 'held-out panorama')}{left}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("kind of question", overflow="fold")
    before = ("untrained",) if scores.untrained else ()
    for name in (*before, "model", *(("blind", "points") if scores.blind else ()), "chance", "questions"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*_row("all questions", model.accuracy, model.answered, model.chance, scores, None), style="bold")
    table.add_section()
    for kind, score in sorted(model.by_kind.items()):
        table.add_row(*_row(kind, score.accuracy, score.count, score.chance, scores, kind))
    return table


def _row(
    name: str,
    accuracy: float | None,
    total: int,
    chance: float | None,
    scores: RunScores,
    kind: str | None,
) -> list[str]:
    before = [percent(_accuracy(scores.untrained, kind))] if scores.untrained else []
    cells = [escape(name), *before, percent(accuracy)]
    if scores.blind is not None:
        other = _accuracy(scores.blind, kind)
        cells += [percent(other), points(difference(accuracy, other))]
    return [*cells, percent(chance), count(total)]


def _accuracy(model: ModelScores, kind: str | None) -> float | None:
    """Return the accuracy over one kind of question, or over all."""
    if kind is None:
        return model.accuracy
    score = model.by_kind.get(kind)
    return score.accuracy if score else None


def caption_table(metrics: Mapping[str, Any]) -> Table:
    """Return the text metrics, one line each: done or not, name, arrow, value, implementation or the reason.

    Args:
        metrics: The content of metrics.json.

    Raises:
        DataError: The content is not that of metrics.json; the message names the key.
    """
    table = Table(title="Captions", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("", "metric", ""):
        table.add_column(name, no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("implementation", overflow="fold")
    for score in parse_scores(metrics).model.captions:
        table.add_row(*_caption_row(score))
    return table


def _caption_row(score: CaptionScore) -> list[str]:
    metric = METRICS.get(score.name)
    mark = "[yellow]\u2013[/]" if score.value is None else "[green]\u2713[/]"
    arrow = "\u2191" if score.higher_is_better else "\u2193"
    remark = score.implementation if score.value is not None else score.reason or "no reason was recorded"
    value = "missing" if score.value is None else six_decimals(score.value)
    return [mark, escape(metric.label if metric else score.name), arrow, value, escape(remark)]
