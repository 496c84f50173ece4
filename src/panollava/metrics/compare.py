"""Do two models differ? Their scores on the same questions, with an interval and two tests of the difference.

Items are paired by (image, query), in the protocol "rows" by (image, query, reference); whole images are resampled or
swapped, because the items of one image are not independent.

- The interval is that of the paired bootstrap (BCa, see ``bootstrap.py``): both models are scored on the same draws.
- Approximate randomisation (Noreen 1989; Riezler and Maxwell 2005) swaps the two models' answers to each image with
  probability 1/2. p is the share of swaps, the data themselves among them, whose difference is at least as large. It
  assumes nothing about the distribution; this is the p that Holm's method (Holm 1979) adjusts over the metrics.
- The paired bootstrap's p (Efron and Tibshirani 1993, section 16.4; Koehn 2004) is the share of draws that differ from
  the observed difference by at least itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.bootstrap import BLOCK, MIN_CLUSTERS, Resampling, bca_intervals, by_cluster, cluster_ids, draws
from panollava.metrics.items import Items
from panollava.metrics.metric import Floats, Metric, Totals
from panollava.metrics.pairing import paired
from panollava.metrics.result import Interval, MetricResult
from panollava.metrics.suite import DEFAULT_METRICS, score_items

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How two models differ in one metric.

    Attributes:
        first: the result of the first model.
        second: that of the second.
        difference: second - first; None where one of them is missing.
        interval: of the difference; None with too few images.
        p_randomisation: of approximate randomisation, two-sided.
        p_holm: the same, adjusted for the number of metrics.
        p_bootstrap: of the paired bootstrap, two-sided; None with too few images.
        reason: why the metric was not compared; empty when it was.
    """

    first: MetricResult
    second: MetricResult
    difference: float | None = None
    interval: Interval | None = None
    p_randomisation: float | None = None
    p_holm: float | None = None
    p_bootstrap: float | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "first": self.first.value,
            "second": self.second.value,
            "difference": self.difference,
            "interval": None if self.interval is None else asdict(self.interval),
            "p_randomisation": self.p_randomisation,
            "p_holm": self.p_holm,
            "p_bootstrap": self.p_bootstrap,
            "higher_is_better": self.first.higher_is_better,
            "implementation": self.first.implementation,
            "signature": self.first.signature,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two models on the same items.

    Attributes:
        differences: one per metric, in the order asked for.
        protocol: "grouped" or "rows".
        items: how many were paired.
        clusters: how many images they show (or how many items, where no image is named).
        resampling: how it was resampled.
    """

    differences: tuple[Difference, ...]
    protocol: str
    items: int
    clusters: int
    resampling: Resampling

    def __getitem__(self, name: str) -> Difference:
        """Return the difference in one metric; KeyError when it was not asked for."""
        return {difference.first.name: difference for difference in self.differences}[name]

    def to_dict(self) -> dict[str, object]:
        """Return the whole comparison as plain Python values."""
        return {
            "protocol": self.protocol,
            "items": self.items,
            "clusters": self.clusters,
            "resampling": asdict(self.resampling),
            "metrics": {difference.first.name: difference.to_dict() for difference in self.differences},
        }


def compare_items(
    first: Items,
    second: Items,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    tokenizer: str | None = None,
    custom: Mapping[str, Metric] = MappingProxyType({}),
    prepared: Mapping[str, Metric] = MappingProxyType({}),
    resampling: Resampling | None = None,
) -> Comparison:
    """Score both and test their differences; arguments as ``score_items``, resampled 10,000 times when not said.

    Raises:
        MetricError: Items that do not pair, with counts and examples.

    Example:
        >>> from panollava.metrics import check_items
        >>> keys = {"images": [f"{i}.jpg" for i in range(40)], "queries": ["?"] * 40}
        >>> weak, strong = (check_items([word] * 40, ["a"] * 40, **keys) for word in ("b", "a"))
        >>> difference = compare_items(weak, strong, metrics=["exact_match"])["exact_match"]
        >>> difference.difference, difference.p_holm < 0.001
        (1.0, True)
    """
    chosen = resampling or Resampling(RESAMPLES)
    second = paired(first, second)
    reports = [
        score_items(each, metrics=metrics, tokenizer=tokenizer, custom=custom, prepared=prepared)
        for each in (first, second)
    ]
    pairs = list(zip(*(report.results for report in reports), strict=True))
    clusters = cluster_ids(first)
    tested = [(a.totals, b.totals) for a, b in pairs if a.totals is not None and b.totals is not None]
    statistics = iter(_statistics(tested, clusters, chosen))
    differences = []
    for a, b in pairs:
        if a.totals is None or b.totals is None:
            differences.append(
                Difference(a, b, reason=a.reason or b.reason or "one score for all: nothing to resample")
            )
        else:
            differences.append(next(statistics).of(a, b))
    return Comparison(_holm(differences), first.protocol, len(first.predictions), int(clusters.max()) + 1, chosen)


@dataclass(frozen=True, slots=True)
class _Statistics:
    difference: float
    interval: Interval | None
    p_randomisation: float
    p_bootstrap: float | None

    def of(self, first: MetricResult, second: MetricResult) -> Difference:
        return Difference(
            first, second, self.difference, self.interval, self.p_randomisation, p_bootstrap=self.p_bootstrap
        )


def _statistics(
    pairs: Sequence[tuple[Totals, Totals]], clusters: NDArray[np.int64], resampling: Resampling
) -> list[_Statistics]:
    """Return interval and tests of each pair's difference; all pairs see the same draws and swaps."""
    if not pairs:
        return []
    joined = [_joined(*pair) for pair in pairs]
    enough = int(clusters.max()) + 1 >= MIN_CLUSTERS
    intervals = bca_intervals(joined, clusters=clusters, resampling=resampling) if enough else [None] * len(joined)
    sums = [by_cluster(each.rows, clusters) for each in joined]
    drawn = _resampled(joined, sums, draws(len(sums[0]), resampling)) if enough else [None] * len(joined)
    whole = [each.sum(axis=0) for each in sums]
    swapped = _resampled(joined, [_exchange(each) for each in sums], _swaps(len(sums[0]), resampling), start=whole)
    found = []
    for each, rows, interval, resampled, swaps in zip(joined, sums, intervals, drawn, swapped, strict=True):
        difference = float(each.value(rows.sum(axis=0, keepdims=True))[0])
        by_bootstrap = None if resampled is None else _share(resampled - difference, difference)
        found.append(_Statistics(difference, interval, _share(swaps, difference), by_bootstrap))
    return found


def _joined(first: Totals, second: Totals) -> Totals:
    width = first.rows.shape[1]
    return Totals(
        np.hstack([first.rows, second.rows]), lambda sums: second.value(sums[:, width:]) - first.value(sums[:, :width])
    )


def _resampled(
    joined: Sequence[Totals], figures: Sequence[Floats], weights: Iterable[Floats], *, start: Sequence[Floats] = ()
) -> list[Floats]:
    """Return the differences of each pair under every row of weights: ``start`` + weights x figures, scored."""
    ends = np.cumsum([each.shape[1] for each in figures])[:-1]
    sums = np.concatenate([weight @ np.hstack(figures) for weight in weights])
    if start:
        sums += np.concatenate(start)
    return [each.value(part) for each, part in zip(joined, np.split(sums, ends, axis=1), strict=True)]


def _exchange(sums: Floats) -> Floats:
    """Return what changes in the figures of each cluster, (first, second), when the models change places."""
    width = sums.shape[1] // 2
    return np.hstack([sums[:, width:], sums[:, :width]]) - sums


def _swaps(clusters: int, resampling: Resampling) -> Iterator[Floats]:
    """Yield which clusters each resample swaps, (resamples, clusters) of 0 and 1, in blocks."""
    generator = np.random.default_rng([resampling.seed, 1])  # other numbers than the bootstrap's
    block = max(1, BLOCK // clusters)
    for start in range(0, resampling.resamples, block):
        size = min(block, resampling.resamples - start)
        yield generator.integers(2, size=(size, clusters), dtype=np.int8).astype(np.float64)


def _share(differences: Floats, observed: float) -> float:
    """Return the share of differences at least as large as the observed one, which is counted among them."""
    known = differences[np.isfinite(differences)]
    at_least = np.abs(known) >= abs(observed) - 1e-12 * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(at_least)) / (1 + len(known)))


def _holm(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the differences with p values adjusted by Holm's step-down method."""
    tested = [d.p_randomisation for d in differences if d.p_randomisation is not None]
    adjusted = iter(holm(tested))
    return tuple(d if d.p_randomisation is None else replace(d, p_holm=next(adjusted)) for d in differences)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979).

    Example:
        >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = most
    return adjusted
