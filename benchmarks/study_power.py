"""How often a study finds a difference that is not there, and how often one that is.

    python benchmarks/study_power.py            four minutes of CPU time
    python benchmarks/study_power.py --quick    a look

Studies with known truth: every image is hard or easy for all arms (sd 0.15), every run is good or bad as a whole (the
seed's sd), an arm may suit some images and not others (sd 0.1, in the rows that say so), and six questions about an
image are answered right or wrong by chance. Several tests see the same studies: ours, one that knows an arm's own
seeds only, one that pools seeds without regard to an arm's own, and one that averages over seeds and compares images,
which is what is left when seeds are forgotten.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from panollava.ablation.statistics import LEVEL, SAME, compare_arms
from panollava.metrics.compare import holm

IMAGE_SD, QUESTIONS, BASELINE, PLANTED = 0.15, 6, "arm 0", "arm 1"
Figures = np.ndarray


@dataclass(frozen=True)
class Design:
    """A study to simulate; ``effect`` is added to the accuracy of arm 1, ``unstable`` multiplies one arm's seed sd."""

    arms: int = 6
    seeds: int = 3
    images: int = 100
    seed_sd: float = 0.015
    suits_sd: float = 0.0
    shared: float = 0.0
    effect: float = 0.0
    unstable: tuple[int, float] | None = None


def simulate(design: Design, generator: np.random.Generator) -> Figures:
    """Return accuracies, (arms, seeds, images)."""
    hard = np.clip(generator.normal(0.5, IMAGE_SD, design.images), 0.02, 0.98)
    suits = generator.normal(0, design.suits_sd, (design.arms, 1, design.images)) if design.suits_sd else 0.0
    spread = np.full((design.arms, 1, 1), design.seed_sd)
    if design.unstable:
        spread[design.unstable[0]] *= design.unstable[1]
    common = generator.normal(size=(1, design.seeds, 1)) * design.shared**0.5
    own = generator.normal(size=(design.arms, design.seeds, 1)) * (1 - design.shared) ** 0.5
    effect = np.zeros((design.arms, 1, 1))
    effect[1] = design.effect
    chance = np.clip(hard + suits + spread * (common + own) + effect, 0, 1)
    return generator.binomial(QUESTIONS, chance) / QUESTIONS


def ours(figures: Figures) -> list[bool]:
    """Return whether each arm but the first is told from it."""
    arms = {f"arm {i}": dict(enumerate(runs)) for i, runs in enumerate(figures)}
    return [contrast.verdict != SAME for contrast in compare_arms(arms, baseline=BASELINE).values()]


def own_seeds(figures: Figures) -> list[bool]:
    """The same, from each pair of arms alone."""
    found = []
    for runs in figures[1:]:
        pair = {BASELINE: dict(enumerate(figures[0])), PLANTED: dict(enumerate(runs))}
        found.append(compare_arms(pair, baseline=BASELINE)[PLANTED].p or 0.0)
    return [p < LEVEL for p in holm(found)]


def seeds_forgotten(figures: Figures) -> list[bool]:
    """The same, from images alone: a paired t test of means over seeds."""
    means = figures.mean(axis=1)
    return [p < LEVEL for p in holm([float(stats.ttest_rel(arm, means[0]).pvalue) for arm in means[1:]])]


TESTS = {"ours": ours, "own seeds only": own_seeds, "seeds forgotten": seeds_forgotten}


def false_alarms(
    design: Design, *, studies: int, seed: int = 0, tests: Sequence[str] = tuple(TESTS)
) -> Mapping[str, int]:
    """Return in how many studies without any effect a test finds one, in whatever arm."""
    counts = dict.fromkeys(tests, 0)
    for number in range(studies):
        figures = simulate(design, np.random.default_rng([seed, number]))
        for test in tests:
            counts[test] += any(TESTS[test](figures))
    return counts


def finds(design: Design, *, studies: int, seed: int = 1, tests: Sequence[str] = tuple(TESTS)) -> Mapping[str, int]:
    """Return in how many studies a test finds the planted effect in arm 1."""
    counts = dict.fromkeys(tests, 0)
    for number in range(studies):
        figures = simulate(design, np.random.default_rng([seed, number]))
        for test in tests:
            counts[test] += TESTS[test](figures)[0]
    return counts


ALIKE = [
    *(Design(arms=a, seeds=k, images=n, seed_sd=s)
      for a in (3, 10) for k in (3, 5) for n in (50, 200) for s in (0.0, 0.005, 0.03)),
    Design(suits_sd=0.1), Design(suits_sd=0.1, seed_sd=0.03), Design(shared=0.5, seed_sd=0.03), Design(images=12),
]  # fmt: skip
UNEQUAL = [Design(arms=a, seed_sd=0.02, unstable=(i, f)) for a in (3, 6, 10) for i in (0, 1) for f in (2.0, 4.0)]
EFFECTS = [Design(arms=a, seeds=k, seed_sd=s, effect=e)
           for a in (3, 6, 10) for k in (3, 5) for s in (0.01, 0.03) for e in (0.03, 0.05, 0.10)]  # fmt: skip


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look: fewer studies")
    studies = 100 if parser.parse_args().quick else 1000
    head = f"{'arms':>4} {'seeds':>5} {'images':>6} {'seed sd':>7}"
    columns = " ".join(f"{name:>16}" for name in TESTS)
    print(
        f"False alarms: share of {studies} studies without a difference in which one was found in any arm (wanted: 5 %)"
    )
    print(f"{head} {columns}")
    for design in ALIKE:
        note = f"   suits images, sd {design.suits_sd}" if design.suits_sd else ""
        note += "   half of the seed's share common to arms" if design.shared else ""
        print(_line(design, false_alarms(design, studies=studies), studies) + note)
    print("\nThe same where one arm's seed sd is larger")
    print(f"{head} {columns}")
    for design in UNEQUAL:
        arm, factor = design.unstable or (0, 1.0)
        note = f"   {factor:g} times in {'the baseline' if arm == 0 else 'one other arm'}"
        print(_line(design, false_alarms(design, studies=studies), studies) + note)
    print(f"\nPower: share of {studies} studies in which an effect planted in one arm was found")
    print(f"{head} {columns}")
    for design in EFFECTS:
        print(_line(design, finds(design, studies=studies), studies) + f"   effect {100 * design.effect:g} points")


def _line(design: Design, counts: Mapping[str, int], studies: int) -> str:
    shares = " ".join(f"{100 * count / studies:14.1f} %" for count in counts.values())
    return f"{design.arms:4} {design.seeds:5} {design.images:6} {design.seed_sd:7g} {shares}"


if __name__ == "__main__":
    main()
