"""Scores for generated text and short answers: official values, each with its signature. Imports no torch.

>>> from panollava.metrics import compute_text_metrics
>>> compute_text_metrics(["a red chair"], ["a red chair"], metrics=["exact_match"]).scores
{'exact_match': 1.0}
"""

from panollava.metrics.accuracy import (
    KindAccuracy,
    accuracy_by_kind,
    direction_confusion,
    exact_match,
    find_sector,
    normalize_answer,
    sector_scores,
    soft_angle_score,
)
from panollava.metrics.bootstrap import Resampling, with_intervals
from panollava.metrics.compare import Comparison, compare_items
from panollava.metrics.custom import load_custom
from panollava.metrics.items import PROTOCOLS, Items, check_items, group_rows
from panollava.metrics.metric import Metric
from panollava.metrics.perplexity import Perplexity, perplexity
from panollava.metrics.predictions import Predictions, read_predictions
from panollava.metrics.result import MetricReport, MetricResult
from panollava.metrics.suite import DEFAULT_METRICS, METRICS, compute_text_metrics, score_items

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "PROTOCOLS",
    "Comparison",
    "Items",
    "KindAccuracy",
    "Metric",
    "MetricReport",
    "MetricResult",
    "Perplexity",
    "Predictions",
    "Resampling",
    "accuracy_by_kind",
    "check_items",
    "compare_items",
    "compute_text_metrics",
    "direction_confusion",
    "exact_match",
    "find_sector",
    "group_rows",
    "load_custom",
    "normalize_answer",
    "perplexity",
    "read_predictions",
    "score_items",
    "sector_scores",
    "soft_angle_score",
    "with_intervals",
]
