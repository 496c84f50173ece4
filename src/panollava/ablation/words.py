"""How a study's numbers are written: in the terminal, in Markdown and on the page alike."""

from typing import Any

from panollava.ablation.figures import ACCURACY
from panollava.ablation.outcome import ArmScore, MetricOutcome, Outcome
from panollava.ablation.runs import Costs
from panollava.ablation.statistics import BETTER, SAME, WORSE, Contrast, Spread
from panollava.evaluation.report_text import MINUS, NOT_MEASURED, count, counted, parameters, percent, points

BASELINE, NO_SCORE = "baseline", "no score"


def score_text(metric: MetricOutcome, value: float | None) -> str:
    """Return a score: accuracy in percent, others with three decimals; a dash where it is missing."""
    if value is None:
        return NOT_MEASURED
    return percent(value) if metric.name == ACCURACY else f"{value:.3f}"


def difference_text(metric: MetricOutcome, value: float | None) -> str:
    """Return a difference with its sign; of accuracies in percentage points."""
    if value is None:
        return NOT_MEASURED
    return points(value) if metric.name == ACCURACY else f"{value:+.3f}".replace("-", MINUS)


def spread_text(metric: MetricOutcome, spread: Spread | None, *, signed: bool = False) -> str:
    """Return an interval in the unit of its score; empty where there is none."""
    if spread is None:
        return ""
    scale, digits = (100, 1) if metric.name == ACCURACY else (1, 3)
    ends = [f"{scale * end:{'+' if signed else ''}.{digits}f}".replace("-", MINUS) for end in (spread.low, spread.high)]
    return f"[{', '.join(ends)}]"


def p_text(p: float | None) -> str:
    """Return a p value to three decimals.

    Example:
        >>> p_text(0.0004), p_text(0.25), p_text(None)
        ('< 0.001', '0.250', '')
    """
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict_text(score: ArmScore) -> str:
    """Return the verdict in words; "baseline" for the baseline, "no score" where there is none."""
    if score.mean is None:
        return NO_SCORE
    return BASELINE if score.contrast is None else score.contrast.verdict


def settings_text(value: Any) -> str:
    """Return a setting as the page shows it.

    Example:
        >>> settings_text(None), settings_text(True), settings_text([96, 192]), settings_text(1e-5)
        ('null', 'true', '96, 192', '1e-05')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(settings_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def other_cell(metric: MetricOutcome, arm: str) -> str:
    """Return the score of the baseline, or an arm's difference to it; "missing" where there is neither."""
    score = metric.arms[arm]
    contrast = score.contrast
    if score.mean is None:
        return "missing"
    if contrast is None:
        return score_text(metric, score.mean)
    if contrast.difference is None:
        return f"({score_text(metric, score.mean)})"
    mark = "*" if contrast.verdict in (BETTER, WORSE) else ""
    return f"{difference_text(metric, contrast.difference)}{mark}"


def cost_texts(costs: Costs) -> dict[str, str]:
    """Return what an arm costs, by column."""
    seconds, memory = costs.seconds_per_panorama, costs.peak_memory_mb
    return {
        "tokens": NOT_MEASURED if costs.tokens is None else count(round(costs.tokens)),
        "s / panorama": NOT_MEASURED if seconds is None else f"{seconds:.2f}",
        "memory": NOT_MEASURED if memory is None else f"{memory / 1024:.1f}\u00a0GB",
        "trained": NOT_MEASURED if costs.trained_parameters is None else parameters(costs.trained_parameters),
    }


def seeds_text(outcome: Outcome, arm: str) -> str:
    """Return how many runs of an arm finished, and how many did not."""
    done, missing = len(outcome.runs[arm]), len(outcome.failed[arm])
    return f"{done} of {done + missing}" if missing else f"{done}"


def sentence(outcome: Outcome, metric: MetricOutcome, arm: str) -> str:
    """Return what was found about an arm in one sentence."""
    score = metric.arms[arm]
    contrast = score.contrast
    if score.mean is None:
        return f"{arm} has no score: {_why_none(outcome, arm) or score.reason}."
    if contrast is None:
        return f"{arm} is the baseline, with {score_text(metric, score.mean)} over {_seeds(len(score.by_seed))}."
    start = f"{arm} is {contrast.verdict} than the baseline"
    if contrast.verdict == SAME:
        start = f"{arm} is not shown to differ from the baseline"
    elif contrast.verdict not in (BETTER, WORSE):
        return f"{arm} was not tested: {contrast.reason}."
    return f"{start}: {_found(metric, contrast)}."


def _found(metric: MetricOutcome, contrast: Contrast) -> str:
    unit = " points" if metric.name == ACCURACY else ""
    size = f"{difference_text(metric, contrast.difference)}{unit}"
    between = spread_text(metric, contrast.interval, signed=True)
    return f"{size} {between}, corrected p {p_text(contrast.p_holm)}, {_seeds(contrast.seeds)}"


def _why_none(outcome: Outcome, arm: str) -> str:
    """Say how many runs of an arm without a finished one are missing, and why the first is."""
    missing = outcome.failed[arm]
    if outcome.runs[arm] or not missing:
        return ""
    return f"{counted(len(missing), 'run')} did not finish, the first because: {missing[0][1].rstrip('.')}"


def _seeds(number: int) -> str:
    return counted(number, "seed")


def legend(outcome: Outcome) -> str:
    """Return what the table's numbers are, in a few sentences."""
    metric = outcome.decisive
    if metric is None:
        return "No run of this study has a score."
    images = max((score.contrast.images for score in metric.arms.values() if score.contrast), default=0)
    direction = "" if metric.higher_is_better else " (lower is better)"
    over = f" on {counted(images, 'panorama')}" if images else ""
    return (
        f"{metric.label}{direction}{over}: mean over seeds with its 95 % interval over seeds. Difference: paired with "
        f"the baseline by seed and panorama, 95 % interval over seeds and panoramas; p: corrected for the "
        "number of arms (Holm). 'Not different' means that no difference was shown, not that there is none. Blind: "
        "trained without images; shuffled: asked with another panorama's image."
    )
