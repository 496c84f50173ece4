"""The table of a study: in the terminal, within 100 columns, and as Markdown for documents."""

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from panollava.ablation.outcome import MetricOutcome, Outcome
from panollava.ablation.statistics import BETTER, WORSE
from panollava.ablation.words import (
    NO_SCORE,
    cost_texts,
    difference_text,
    legend,
    other_cell,
    p_text,
    score_text,
    seeds_text,
    settings_text,
    spread_text,
    verdict_text,
)

_UP, _DOWN = "\u2191", "\u2193"
_COLOURS = {BETTER: "green", WORSE: "red"}


def study_table(outcome: Outcome) -> Group:
    """Return the table of the decisive metric and its legend: an arm has two lines, values above their intervals.

    Args:
        outcome: The study, as ``report.read_outcome`` gives it.
    """
    metric = outcome.decisive
    title = f"{outcome.study.name}: {metric.label if metric else 'no scores'}"
    table = _quiet(title)
    table.add_column("arm", overflow="fold", min_width=12)
    table.add_column(metric.label if metric else "score", justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("verdict\np", no_wrap=True)
    for name in ("blind\nshuffled", "tokens\ns/pano.", "memory\ntrained", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in outcome.study.arms:
        table.add_row(*_terminal_row(outcome, metric, arm.name))
    return Group(table, Text(legend(outcome), style="dim"))


def _quiet(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", collapse_padding=True, pad_edge=False)


def _terminal_row(outcome: Outcome, metric: MetricOutcome | None, name: str) -> list[str]:
    costs = cost_texts(outcome.costs[name])
    shown = [f"{costs['tokens']}\n{costs['s / panorama']}", f"{costs['memory']}\n{costs['trained']}"]
    seeds = seeds_text(outcome, name)
    if metric is None:
        return [escape(name), "", "", NO_SCORE, "", *shown, seeds]
    score = metric.arms[name]
    contrast, verdict = score.contrast, verdict_text(score)
    colour = _COLOURS.get(verdict)
    return [
        escape(name),
        f"{score_text(metric, score.mean)}\n{escape(spread_text(metric, score.seeds))}",
        f"{difference_text(metric, contrast.difference)}\n{escape(spread_text(metric, contrast.interval, signed=True))}"
        if contrast
        else "",
        (f"[{colour}]{verdict}[/]" if colour else verdict) + (f"\n{p_text(contrast.p_holm)}" if contrast else ""),
        f"{score_text(metric, score.blind)}\n{score_text(metric, score.shuffled)}",
        *shown,
        seeds,
    ]


def metrics_table(outcome: Outcome) -> Group | None:
    """Return a line per arm with its difference to the baseline in every other metric; None if there is none.

    A difference that holds after correction is marked.
    """
    if len(outcome.metrics) < 2:
        return None
    caption = "Differences to the baseline (its score in its own line); * holds after correction, within the metric."
    table = _quiet("Other scores")
    table.add_column("arm", overflow="fold", min_width=12)
    for metric in outcome.metrics[1:]:
        table.add_column(f"{metric.label} {_UP if metric.higher_is_better else _DOWN}", justify="right")
    for arm in outcome.study.arms:
        table.add_row(escape(arm.name), *(other_cell(metric, arm.name) for metric in outcome.metrics[1:]))
    return Group(table, Text(caption, style="dim"))


def markdown(outcome: Outcome) -> str:
    """Return the table as Markdown, with what its numbers are below it."""
    metric, varied = outcome.decisive, outcome.study.varied
    heads = ["arm", *[f"`{key}`" for key in varied], metric.label if metric else "score", "difference", "p", "verdict"]
    heads += ["blind", "shuffled", "tokens", "s / panorama", "memory", "trained", "seeds"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for arm in outcome.study.arms:
        settings = [settings_text(arm.settings[key]) if key in arm.settings else "" for key in varied]
        cells = [arm.name, *settings, *_scores(metric, arm.name), *cost_texts(outcome.costs[arm.name]).values()]
        cells.append(seeds_text(outcome, arm.name))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, "", legend(outcome)]) + "\n"


def _scores(metric: MetricOutcome | None, name: str) -> list[str]:
    if metric is None:
        return ["", "", "", NO_SCORE, "", ""]
    score = metric.arms[name]
    contrast = score.contrast
    between = spread_text(metric, contrast.interval, signed=True) if contrast else ""
    return [
        f"{score_text(metric, score.mean)} {spread_text(metric, score.seeds)}".strip(),
        f"{difference_text(metric, contrast.difference)} {between}".strip() if contrast else "",
        p_text(contrast.p_holm) if contrast else "",
        verdict_text(score),
        score_text(metric, score.blind),
        score_text(metric, score.shuffled),
    ]
