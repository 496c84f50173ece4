"""Scores as they are reported: a value with its signature, or no value with its reason."""

import json
from dataclasses import asdict, dataclass, field

from panollava.metrics.metric import Totals


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap interval of a score.

    Attributes:
        low: its lower end.
        high: its upper end.
        confidence: how often such an interval holds the true value, nominally.
        method: "bca", or "none" where the ends are the value itself because no resample differs.
        resamples: how many resamples were drawn.
        seed: of the generator.
        clusters: how many images (or items, where images are not known) were resampled.
    """

    low: float
    high: float
    confidence: float
    method: str
    resamples: int
    seed: int
    clusters: int


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric's score.

    Attributes:
        name: the key, such as "bleu4".
        label: the name in tables, such as "BLEU-4".
        value: the corpus score, or None when the metric could not run; never 0 in its place.
        higher_is_better: the direction of the arrow.
        implementation: the code whose numbers these are.
        signature: what must be equal for a comparison; empty when the metric did not run.
        reason: why the value is missing; empty when it is there.
        note: what a reader must know about the value; mostly empty.
        per_item: the score of each item, NaN where the metric does not concern it; empty where items have none.
        totals: what the value is made of, for resampling; absent where it cannot be resampled.
        interval: how far the value would move with other images; absent until ``bootstrap.with_intervals``.
    """

    name: str
    label: str
    value: float | None
    higher_is_better: bool = True
    implementation: str = ""
    signature: str = ""
    reason: str = ""
    note: str = ""
    per_item: tuple[float, ...] = field(default=(), repr=False)
    totals: Totals | None = field(default=None, repr=False)
    interval: Interval | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, without the scores of single items."""
        return {
            "value": self.value,
            "higher_is_better": self.higher_is_better,
            "implementation": self.implementation,
            "signature": self.signature,
            "reason": self.reason,
            "note": self.note,
            "interval": None if self.interval is None else asdict(self.interval),
        }


@dataclass(frozen=True, slots=True)
class MetricReport:
    """The scores of one set of predictions.

    Attributes:
        results: one entry per metric asked for, in that order.
        protocol: "grouped" or "rows".
        items: how many predictions were scored.
        rows: how many rows they came from.
        empty_predictions: how many predictions were empty; each was scored, with 0.
        repeated_rows: how many rows say the same as an earlier one; each was counted.
        images: how many images the items show; 0 where they are not known.
        interval_note: why there are no intervals, or what to know about them.
    """

    results: tuple[MetricResult, ...]
    protocol: str
    items: int
    rows: int
    empty_predictions: int
    repeated_rows: int = 0
    images: int = 0
    interval_note: str = ""

    @property
    def scores(self) -> dict[str, float | None]:
        """Plain values by metric name; None where a metric could not run."""
        return {result.name: result.value for result in self.results}

    def __getitem__(self, name: str) -> MetricResult:
        """Return the result of one metric; KeyError when it was not asked for."""
        return {result.name: result for result in self.results}[name]

    def to_dict(self) -> dict[str, object]:
        """Return the whole report as plain Python values."""
        return {
            "protocol": self.protocol,
            "items": self.items,
            "rows": self.rows,
            "empty_predictions": self.empty_predictions,
            "repeated_rows": self.repeated_rows,
            "images": self.images,
            "interval_note": self.interval_note,
            "metrics": {result.name: result.to_dict() for result in self.results},
        }

    def to_json(self) -> str:
        """Return the whole report as JSON text, stable between runs."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def table_rows(self) -> list[dict[str, str]]:
        """Return one row of texts per metric: mark, metric, arrow, value, interval, implementation and remark.

        The mark is "ok" or "missing" and the arrow "up" or "down"; how they look is the caller's affair.
        """
        return [
            {
                "mark": "missing" if result.value is None else "ok",
                "metric": result.label,
                "arrow": "up" if result.higher_is_better else "down",
                "value": "missing" if result.value is None else f"{result.value:.6f}",
                "interval": interval_text(result.interval),
                "implementation": result.implementation,
                "remark": result.reason or result.note,
            }
            for result in self.results
        ]


def interval_text(interval: Interval | None) -> str:
    """Return the interval as a table shows it; empty where there is none.

    Example:
        >>> interval_text(Interval(0.25, 0.5, 0.95, "bca", 1000, 0, 40))
        '[0.250000, 0.500000]'
    """
    return "" if interval is None else f"[{interval.low:.6f}, {interval.high:.6f}]"
