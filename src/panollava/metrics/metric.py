"""What a metric is: an entry of the table in ``suite.py``, and what its function returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.items import Items

if TYPE_CHECKING:
    from panollava.metrics.tokens import TokenTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a corpus score is made of, so that it can be computed anew from a resample of the items.

    Attributes:
        rows: (items, figures), figures that add up over items: matches and lengths, or a score and the count 1.
            An item that the metric does not concern is a row of zeros.
        value: from sums, (n, figures), to scores, (n,); NaN where a sum concerns nothing.
    """

    rows: Floats
    value: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a metric's function returns.

    Attributes:
        value: the score of the corpus.
        signature: what must be equal for a comparison.
        per_item: the score of each item; NaN for an item that the metric does not concern; empty if there is none.
        note: what a reader must know about the value.
        totals: what ``value`` is made of; absent, the score is the mean of ``per_item``.
    """

    value: float
    signature: str
    per_item: tuple[float, ...] = ()
    note: str = ""
    totals: Totals | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """An entry of the table: names for people, and the function that scores.

    ``run`` takes the items, their tokens, and the name of the tokenizer to use instead of the metric's own,
    if any; it raises MetricUnavailable when it cannot run here.
    """

    label: str
    implementation: str
    run: "Callable[[Items, TokenTable, str | None], Outcome]"
    higher_is_better: bool = True


def mean_totals(per_item: Sequence[float] | Floats) -> Totals:
    """Return the totals of a score that is the mean over items, those with NaN left out.

    Example:
        >>> totals = mean_totals([1.0, float("nan"), 0.0])
        >>> totals.value(totals.rows.sum(axis=0, keepdims=True)).tolist()
        [0.5]
    """
    scores = np.asarray(per_item, dtype=np.float64)
    there = ~np.isnan(scores)
    return Totals(np.column_stack([np.where(there, scores, 0.0), there.astype(np.float64)]), ratio)


def ratio(sums: Floats) -> Floats:
    """Return first figure / second figure; NaN where the second is 0.

    Example:
        >>> ratio(np.array([[1.0, 2.0], [0.0, 0.0]])).tolist()
        [0.5, nan]
    """
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)
