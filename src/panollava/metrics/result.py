"""Scores as they are reported: a value with its signature, or no value with its reason."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


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
        per_item: the score of each item, for metrics that are a mean over items; empty otherwise.
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

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form, without the scores of single items."""
        return {
            "value": self.value,
            "higher_is_better": self.higher_is_better,
            "implementation": self.implementation,
            "signature": self.signature,
            "reason": self.reason,
            "note": self.note,
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
    """

    results: tuple[MetricResult, ...]
    protocol: str
    items: int
    rows: int
    empty_predictions: int

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
            "metrics": {result.name: result.to_dict() for result in self.results},
        }

    def to_json(self) -> str:
        """Return the whole report as JSON text, stable between runs."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def table_rows(self) -> list[dict[str, str]]:
        """Return one row of texts per metric: mark, metric, arrow, value, implementation, remark.

        The mark is "ok" or "missing" and the arrow "up" or "down"; how they look is the caller's affair.
        """
        return [
            {
                "mark": "missing" if result.value is None else "ok",
                "metric": result.label,
                "arrow": "up" if result.higher_is_better else "down",
                "value": "missing" if result.value is None else f"{result.value:.6f}",
                "implementation": result.implementation,
                "remark": result.reason or result.note,
            }
            for result in self.results
        ]

    def csv_rows(self) -> list[Mapping[str, object]]:
        """Return one row per metric with every field of its JSON form, for ``csv.DictWriter``."""
        shared = {"protocol": self.protocol, "items": self.items, "rows": self.rows}
        return [{"metric": result.name, **result.to_dict(), **shared} for result in self.results]
