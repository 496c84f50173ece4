"""Scores from two lists of texts."""

from collections.abc import Sequence

from panollava.metrics import DEFAULT_METRICS
from panollava.metrics import compute_text_metrics as _report


def compute_text_metrics(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
) -> dict[str, float | None]:
    """Return BLEU-4, METEOR, ROUGE-L, SPICE and CIDEr by name; None for a metric that cannot run here.

    ``panollava.metrics.compute_text_metrics`` returns the same with signatures and reasons.

    Args:
        predictions: One text per item.
        references: One text, or several, per item.
        metrics: Names of the metrics.

    Raises:
        MetricError: If the lists cannot be scored.
    """
    return dict(_report(predictions, references, metrics=metrics).scores)
