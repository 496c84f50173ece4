"""How often intervals hold the truth, how often tests raise a false alarm, and how long both take.

    python benchmarks/metrics_intervals.py            half a minute of CPU time
    python benchmarks/metrics_intervals.py --quick    a look

Synthetic data with known truth: right and wrong answers, several to an image, images hard or easy as a whole.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from panollava.metrics.bootstrap import Resampling, bca_intervals
from panollava.metrics.compare import compare_items
from panollava.metrics.items import Items, check_items
from panollava.metrics.metric import mean_totals

Sample = tuple[np.ndarray, np.ndarray]


def half_right(generator: np.random.Generator, images: int) -> Sample:
    """Answers of which half are right, three to an image."""
    clusters = np.repeat(np.arange(images), 3)
    return (generator.random(3 * images) < generator.beta(3, 3, images)[clusters]).astype(float), clusters


def nearly_right(generator: np.random.Generator, images: int) -> Sample:
    """Answers of which 95 % are right."""
    clusters = np.repeat(np.arange(images), 3)
    return (generator.random(3 * images) < generator.beta(19, 1, images)[clusters]).astype(float), clusters


def skewed(generator: np.random.Generator, images: int) -> Sample:
    """Scores of mean 1 with a long tail."""
    clusters = np.repeat(np.arange(images), 3)
    return generator.exponential(1, images)[clusters] * generator.exponential(1, 3 * images), clusters


CASES: dict[str, tuple[Callable[[np.random.Generator, int], Sample], float]] = {
    "half right": (half_right, 0.5),
    "95 % right": (nearly_right, 0.95),
    "long tail": (skewed, 1.0),
}


def coverage(make: Callable[[np.random.Generator, int], Sample], truth: float, *, images: int, trials: int) -> float:
    """Return the share of 95 % intervals that hold the truth."""
    hits = 0
    for trial in range(trials):
        scores, clusters = make(np.random.default_rng(trial), images)
        [interval] = bca_intervals(
            [mean_totals(scores)], clusters=clusters, resampling=Resampling(resamples=1000, seed=trial)
        )
        hits += interval is not None and interval.low <= truth <= interval.high
    return hits / trials


def answers(generator: np.random.Generator, hard: np.ndarray, *, skill: float) -> Items:
    """Five answers to each image by a model that errs on images of its own."""
    images = len(hard)
    ease = np.repeat(hard + generator.normal(0, 0.7, images) + skill, 5)
    right = generator.random(5 * images) < 1 / (1 + np.exp(-ease))
    names = [str(i // 5) for i in range(5 * images)]
    return check_items(
        ["yes" if hit else "no" for hit in right],
        ["yes"] * len(right),
        images=names,
        queries=[str(i % 5) for i in range(5 * images)],
    )


def alarms(*, images: int, trials: int, skill: float) -> tuple[float, float]:
    """Return the shares of comparisons at 5 % that differ: by approximate randomisation, by the paired bootstrap."""
    found = np.zeros(2)
    for trial in range(trials):
        generator = np.random.default_rng(trial)
        hard = generator.normal(size=images)
        first, second = answers(generator, hard, skill=0.0), answers(generator, hard, skill=skill)
        each = compare_items(first, second, metrics=["exact_match"], resampling=Resampling(1000, trial))["exact_match"]
        found += [(p is not None and p <= 0.05) for p in (each.p_randomisation, each.p_bootstrap)]
    return tuple((found / trials).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer trials")
    trials = 40 if parser.parse_args().quick else 1000
    print(f"share of 95 % intervals that hold the truth, {trials} samples each")
    print("  images " + "".join(f"{name:>12}" for name in CASES))
    for images in (10, 20, 40, 60, 100):
        shares = [coverage(make, truth, images=images, trials=trials) for make, truth in CASES.values()]
        print(f"  {images:6d} " + "".join(f"{share:12.3f}" for share in shares))
    print(f"share of comparisons with p <= 0.05, {trials} each: randomisation, bootstrap")
    for images in (12, 30, 60):
        for name, skill in (("equal models", 0.0), ("one better", 0.8)):
            both = alarms(images=images, trials=trials, skill=skill)
            print(f"  {images:3d} images, {name:12}  {both[0]:.3f}  {both[1]:.3f}")
    scores = np.random.default_rng(0).random((8, 5000))
    start = time.process_time()
    bca_intervals([mean_totals(row) for row in scores], clusters=np.arange(5000), resampling=Resampling(1000))
    print(f"8 metrics, 5,000 items, 1,000 resamples: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
