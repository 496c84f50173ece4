"""Bootstrap intervals of scores, clustered by image.

Items of one image are not independent, so whole images are drawn, with replacement (the cluster bootstrap; Davison
and Hinkley 1997, section 3.8). Every metric is kept as figures that add up over items (``metric.Totals``), so a
resample is one row of a matrix product and all metrics share the same draws. Corpus scores are computed anew from
the drawn figures: BLEU from its matches and lengths. CIDEr keeps the document frequencies of the whole set; an
interval of it is one of items under fixed weights of words.

Intervals are BCa: bias-corrected and accelerated (Efron 1987; Efron and Tibshirani 1993, chapter 14), with the
acceleration from leaving out one image at a time. They keep inside the range of the score and follow its skew, which
percentile intervals of a near-perfect accuracy do not. Fewer than ten images give no interval: the draws would say
more about the sample than about the world.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError
from panollava.metrics.items import Items
from panollava.metrics.metric import Floats, Totals
from panollava.metrics.result import Interval, MetricReport

MIN_CLUSTERS = 10
BLOCK = 4_000_000  # draws held in memory at once
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Resampling:
    """How to resample.

    Attributes:
        resamples: how many, at least 100.
        seed: of the generator; equal seeds give equal intervals.
        confidence: of the interval, such as 0.95.
    """

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise MetricError(f"{self.resamples} resamples say nothing about tails; give at least 100.")
        if not 0.5 <= self.confidence < 1.0:
            raise MetricError(f"the confidence {self.confidence} is no share in [0.5, 1); the usual one is 0.95.")
        if self.seed < 0:
            raise MetricError(f"the seed {self.seed} is negative; give 0 or more.")


def with_intervals(report: MetricReport, *, items: Items, resampling: Resampling | None = None) -> MetricReport:
    """Return the report with an interval for every score that can be resampled.

    Args:
        report: scores of the items.
        items: what was scored; their images are the clusters, or each item is where images are not known.
        resampling: how to resample; 1,000 times at 95 % when absent.

    Example:
        >>> from panollava.metrics import check_items, score_items
        >>> items = check_items(["a"] * 12, ["a"] * 6 + ["b"] * 6)
        >>> report = with_intervals(score_items(items, metrics=["exact_match"]), items=items)
        >>> interval = report["exact_match"].interval
        >>> 0.1 < interval.low < 0.5 < interval.high < 0.9
        True
    """
    clusters = cluster_ids(items)
    what = "images" if items.images else "items"
    count = int(clusters.max()) + 1
    if count < MIN_CLUSTERS:
        return replace(report, interval_note=f"no intervals: {count} {what}, at least {MIN_CLUSTERS} are needed")
    scored = [result for result in report.results if result.value is not None and result.totals is not None]
    intervals = dict(
        zip(
            (result.name for result in scored),
            bca_intervals([r.totals for r in scored if r.totals], clusters=clusters, resampling=resampling),
            strict=True,
        )
    )
    results = tuple(replace(result, interval=intervals.get(result.name)) for result in report.results)
    chosen = resampling or Resampling()
    note = (
        f"[low, high]: {chosen.confidence:.0%} BCa bootstrap over {count} {what},"
        f" {chosen.resamples} resamples, seed {chosen.seed}"
    )
    return replace(report, results=results, interval_note=note)


def cluster_ids(items: Items) -> NDArray[np.int64]:
    """Return the number of each item's cluster: its image; an item without an image is one by itself.

    Example:
        >>> from panollava.metrics import check_items
        >>> cluster_ids(check_items(["a"] * 3, ["b"] * 3, images=["i", "j", "i"])).tolist()
        [0, 1, 0]
    """
    if not items.images:
        return np.arange(len(items.predictions))
    ids: dict[str | int, int] = {}
    keys = [image if image.strip() else place for place, image in enumerate(items.images)]
    return np.array([ids.setdefault(key, len(ids)) for key in keys], dtype=np.int64)


def bca_intervals(
    totals: Sequence[Totals], *, clusters: NDArray[np.int64], resampling: Resampling | None = None
) -> list[Interval | None]:
    """Return the BCa interval of each score; None where fewer than ten clusters concern the metric.

    Args:
        totals: what each score is made of.
        clusters: per item the number of its cluster, 0 to n-1.
        resampling: how to resample.

    Example:
        >>> from panollava.metrics.metric import mean_totals
        >>> scores = np.random.default_rng(1).normal(5.0, 1.0, 400)
        >>> [interval] = bca_intervals([mean_totals(scores)], clusters=np.arange(400))
        >>> round(interval.high - interval.low, 1) == round(2 * 1.96 / 400**0.5, 1)
        True
    """
    chosen = resampling or Resampling()
    if not totals:
        return []
    sums = [by_cluster(each.rows, clusters) for each in totals]
    widths = np.cumsum([0, *(each.shape[1] for each in sums)])
    drawn = np.concatenate([draw @ np.hstack(sums) for draw in draws(len(sums[0]), chosen)])
    found = []
    for place, (each, sizes) in enumerate(zip(totals, sums, strict=True)):
        concerned = int(np.any(sizes != 0, axis=1).sum())
        scores = each.value(drawn[:, widths[place] : widths[place + 1]])
        found.append(_interval(each, sizes, scores, chosen) if concerned >= MIN_CLUSTERS else None)
    return found


def by_cluster(rows: Floats, clusters: NDArray[np.int64]) -> Floats:
    """Return the sums of rows by cluster, (clusters, figures).

    Example:
        >>> by_cluster(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0])).tolist()
        [[5.0], [2.0]]
    """
    sums = np.zeros((int(clusters.max()) + 1, rows.shape[1]))
    np.add.at(sums, clusters, rows)
    return sums


def draws(clusters: int, resampling: Resampling) -> Iterator[Floats]:
    """Yield how often each resample draws each cluster, (resamples, clusters), in blocks."""
    generator = np.random.default_rng(resampling.seed)
    block = max(1, BLOCK // clusters)
    for start in range(0, resampling.resamples, block):
        size = min(block, resampling.resamples - start)
        chosen = generator.integers(clusters, size=(size, clusters)) + np.arange(size)[:, None] * clusters
        yield np.bincount(chosen.ravel(), minlength=size * clusters).reshape(size, clusters).astype(np.float64)


def _interval(totals: Totals, sums: Floats, scores: Floats, resampling: Resampling) -> Interval | None:
    """Return the BCa interval from the scores of the resamples; z0 and a as in Efron and Tibshirani, 14.14-15."""
    whole = sums.sum(axis=0, keepdims=True)
    score = float(totals.value(whole)[0])
    scores = scores[np.isfinite(scores)]
    if not np.isfinite(score) or not len(scores):
        return None
    same = np.isclose(scores, score, rtol=1e-12, atol=1e-12)
    if same.all():
        ends, method = (score, score), "none"
    else:
        below = np.count_nonzero((scores < score) & ~same) + 0.5 * np.count_nonzero(same)
        share = np.clip(below / len(scores), 0.5 / len(scores), 1 - 0.5 / len(scores))
        z0, a = _NORMAL.inv_cdf(float(share)), _acceleration(totals.value(whole - sums))
        tail = (1 - resampling.confidence) / 2
        low, high = (float(np.quantile(scores, _adjusted(z0, a, level))) for level in (tail, 1 - tail))
        ends, method = (low, high), "bca"
    return Interval(
        min(ends), max(ends), resampling.confidence, method, resampling.resamples, resampling.seed, len(sums)
    )


def _acceleration(left_out: Floats) -> float:
    """Return a sixth of the skewness of the scores with one cluster left out."""
    known = left_out[np.isfinite(left_out)]
    off = known.mean() - known
    spread = float(np.sum(off**2))
    return float(np.sum(off**3) / (6 * spread**1.5)) if spread > 0 else 0.0


def _adjusted(z0: float, a: float, level: float) -> float:
    """Return the quantile to read in the place of ``level``."""
    z = z0 + _NORMAL.inv_cdf(level)
    room = 1 - a * z
    return _NORMAL.cdf(z0 + z / room) if room > 0 else float(z > 0)
