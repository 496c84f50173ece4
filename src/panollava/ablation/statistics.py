"""Is the difference between two arms real? Tests that honour both the seeds and the images.

A study is a table of figures: arms x seeds x images, every arm trained with several seeds, every run asked about the
same images. An arm's score is the mean over both, and both are samples: another seed trains another model, another
image is easier or harder. A test that averages over seeds and asks only whether images agree finds "real" differences
between two seeds of one arm; the chapters on a language as a fixed effect (Clark 1973) and on several readers of the
same X-ray pictures (Dorfman, Berbaum and Metz 1992) are about this mistake. The second design is ours, with seeds in
the place of readers, and its analysis is used here, as Hillis (2007) corrected it::

    d[s, i]      arm - baseline at seed s (paired by number) on image i;  K seeds, n images
    difference   mean of d
    variance     S + I
      S          2 v / K, v = variance of a run's score about arm + seed, pooled over all arms of the study;
                 the arm's own, variance over s of mean_i d / K, where that is larger
      I          (MS_image - MS_seed_x_image) / (n K), never below 0: images on which the arms truly differ
    t            difference / sqrt(S + I), with (S + I)^2 / (S^2 / df_S + (MS_image / n K)^2 / (n - 1)) degrees

df_S is (arms - 1) (K - 1). Pooling is what gives three seeds any power: an arm alone has two degrees of freedom, and
a permutation of three seeds cannot have p below 0.25. It takes seeds to matter alike in all arms; the larger own
variance is there for an arm that is unstable. What that costs and covers, benchmarks/study_power.py measures.

The per-image figures are jackknife pseudo-values, so a corpus score such as BLEU is compared as one is reported. p
values are Holm's over the arms of a study, for one metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr, stdtrit

from panollava.metrics.bootstrap import MIN_CLUSTERS
from panollava.metrics.compare import holm
from panollava.metrics.metric import Floats, Totals

LEVEL = 0.05
BETTER, WORSE, SAME, UNTESTED = "better", "worse", "not different", "not tested"
_MANY = 1e9
_NOTHING = 1e-12  # what rounding leaves of two equal scores

Runs = Mapping[int, Floats]
"""Per seed the figure of each image, (n,); the same images in the same order in every run of a study."""


@dataclass(frozen=True, slots=True)
class Spread:
    """An interval of a mean, at 95 %."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """An arm against the baseline, in one metric.

    Attributes:
        difference: arm - baseline over the seeds that both have; None where they cannot be compared.
        interval: of the difference, over seeds and images; with one seed over images only. Not widened for the
            number of arms.
        p: two-sided; None where it was not tested.
        p_holm: the same, for the number of arms.
        degrees: of freedom.
        seeds: how many are paired.
        images: how many the score is over.
        verdict: "better", "worse", "not different" (which is not "equal") or "not tested".
        reason: why it was not tested, or what to know.
    """

    difference: float | None = None
    interval: Spread | None = None
    p: float | None = None
    p_holm: float | None = None
    degrees: float | None = None
    seeds: int = 0
    images: int = 0
    verdict: str = UNTESTED
    reason: str = ""


def over_seeds(scores: Sequence[float]) -> Spread | None:
    """Return the interval of an arm's mean over seeds, on these images; None with fewer than two.

    It is Student's t: exact if seeds scatter like a normal variable, and wide where they are few (with three, 2.5
    standard deviations to each side). It may leave the range of the score.

    Example:
        >>> spread = over_seeds([0.4, 0.5, 0.6])
        >>> round(spread.low, 3), round(spread.high, 3)
        (0.252, 0.748)
    """
    if len(scores) < 2:
        return None
    mean, error = float(np.mean(scores)), float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    half = _quantile(len(scores) - 1) * error
    return Spread(mean - half, mean + half)


def image_figures(totals: Totals) -> Floats:
    """Return a figure for every image whose mean is the score: its pseudo-value, n score - (n - 1) score without it.

    That of a single image is the score.

    Args:
        totals: what the score is made of, one row per image.

    Example:
        >>> from panollava.metrics.metric import mean_totals
        >>> image_figures(mean_totals([1.0, 0.0, 0.5])).round(6).tolist()
        [1.0, 0.0, 0.5]
    """
    whole = totals.rows.sum(axis=0, keepdims=True)
    score, n = float(totals.value(whole)[0]), len(totals.rows)
    if n == 1:
        return np.array([score])
    pseudo = n * score - (n - 1) * totals.value(whole - totals.rows)
    return pseudo + (score - pseudo.mean())


def compare_arms(arms: Mapping[str, Runs], *, baseline: str, higher_is_better: bool = True) -> dict[str, Contrast]:
    """Compare every arm with the baseline.

    Args:
        arms: the runs of each arm by name; an arm without runs is not tested.
        baseline: the name of one of them.
        higher_is_better: which sign "better" has.

    Returns:
        A contrast for every arm but the baseline.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> run = lambda score: np.clip(rng.normal(score, 0.2, 100), 0, 1)
        >>> arms = {name: {s: run(score) for s in range(3)} for name, score in (("a", 0.4), ("b", 0.4), ("c", 0.6))}
        >>> {name: contrast.verdict for name, contrast in compare_arms(arms, baseline="a").items()}
        {'b': 'not different', 'c': 'better'}
    """
    pooled = pooled_variance(arms)
    found = {name: _contrast(runs, arms[baseline], pooled) for name, runs in arms.items() if name != baseline}
    tested = [(name, contrast.p) for name, contrast in found.items() if contrast.p is not None]
    for (name, _), adjusted in zip(tested, holm([p for _, p in tested]), strict=True):
        verdict = _verdict(found[name], adjusted, higher_is_better=higher_is_better)
        found[name] = replace(found[name], p_holm=adjusted, verdict=verdict)
    return found


def pooled_variance(arms: Mapping[str, Runs]) -> tuple[float, int]:
    """Return the variance of a run's score about arm + seed, by least squares, and its degrees of freedom.

    Failed runs may be missing, and one whose score is no number is left out. (0, 0) where nothing is left to estimate
    it from.

    Example:
        >>> arms = {"a": {0: np.array([1.0]), 1: np.array([2.0])}, "b": {0: np.array([3.0]), 1: np.array([6.0])}}
        >>> variance, degrees = pooled_variance(arms)
        >>> round(variance, 6), degrees
        (1.0, 1)
    """
    cells = [(arm, seed, float(run.mean())) for arm, runs in arms.items() for seed, run in runs.items()]
    cells = [cell for cell in cells if np.isfinite(cell[2])]
    names, seeds = (list(dict.fromkeys(cell[place] for cell in cells)) for place in (0, 1))
    design = np.zeros((len(cells), len(names) + len(seeds)))
    for row, (arm, seed, _) in enumerate(cells):
        design[row, [names.index(arm), len(names) + seeds.index(seed)]] = 1.0
    scores = np.array([score for _, _, score in cells])
    if not len(cells):
        return 0.0, 0
    fit, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
    degrees = len(cells) - int(rank)
    return (float(np.sum((scores - design @ fit) ** 2)) / degrees, degrees) if degrees else (0.0, 0)


def _contrast(runs: Runs, baseline: Runs, pooled: tuple[float, int]) -> Contrast:
    seeds = sorted(runs.keys() & baseline.keys())
    if not seeds:
        return Contrast(reason="it has no finished run with a seed of the baseline")
    d = np.stack([runs[seed] - baseline[seed] for seed in seeds])
    count, n = d.shape
    if not np.isfinite(d).all():
        return Contrast(seeds=count, images=n, reason="its score, or the baseline's, is no number without some image")
    plain = Contrast(float(d.mean()), seeds=count, images=n)
    if n < MIN_CLUSTERS:
        images = "1 image" if n == 1 else f"{n} images"
        return replace(plain, reason=f"{images}; a test needs at least {MIN_CLUSTERS}")
    if count == 1:
        spread = _interval(plain.difference or 0.0, float(d.var(ddof=1)) / n, n - 1)
        return replace(plain, interval=spread, reason="one seed: the interval is over images only, and seeds differ")
    error, degrees = _error(d, pooled)
    p = _p_value(float(d.mean()), error, degrees)
    return replace(plain, interval=_interval(float(d.mean()), error, degrees), p=p, degrees=degrees)


def _error(d: Floats, pooled: tuple[float, int]) -> tuple[float, float]:
    """Return the variance of the mean of d, (seeds, images), and its degrees of freedom."""
    count, n = d.shape
    by_seed, by_image = d.mean(axis=1), d.mean(axis=0)
    rest = d - by_seed[:, None] - by_image[None, :] + d.mean()
    image = count * float(by_image.var(ddof=1))
    both = float(np.sum(rest**2)) / ((count - 1) * (n - 1))
    own, common = float(by_seed.var(ddof=1)) / count, 2 * pooled[0] / count
    seed, degrees = (max(own, common), pooled[1]) if pooled[1] else (own, count - 1)
    item = max(image - both, 0.0) / (n * count)
    parts = seed**2 / degrees + ((image / (n * count)) ** 2 / (n - 1) if item else 0.0)
    return seed + item, (seed + item) ** 2 / parts if parts else _MANY


def _p_value(difference: float, variance: float, degrees: float) -> float:
    if abs(difference) < _NOTHING:
        return 1.0
    if variance <= 0.0:
        return 0.0
    return min(1.0, 2.0 * float(stdtr(degrees, -abs(difference) / variance**0.5)))


def _interval(difference: float, variance: float, degrees: float) -> Spread:
    half = _quantile(degrees) * variance**0.5
    return Spread(difference - half, difference + half)


def _quantile(degrees: float) -> float:
    return float(stdtrit(degrees, 1 - LEVEL / 2))


def _verdict(contrast: Contrast, p: float, *, higher_is_better: bool) -> str:
    if p >= LEVEL or contrast.difference is None:
        return SAME
    return BETTER if (contrast.difference > 0) == higher_is_better else WORSE
