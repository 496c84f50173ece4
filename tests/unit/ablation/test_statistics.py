"""The statistics of a study: hand-computed cases, what must not matter, and what must be undefined."""

import math

import numpy as np
import pytest
from scipy import stats

from panollava.ablation.statistics import (
    BETTER,
    SAME,
    UNTESTED,
    WORSE,
    compare_arms,
    image_figures,
    over_seeds,
    pooled_variance,
)
from panollava.metrics.metric import Totals, mean_totals, ratio


def study(*, arms=4, seeds=3, images=30, seed=0):
    """Random figures by arm and seed."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.5, 0.1, (arms, seeds, images)) + rng.normal(0, 0.03, (arms, seeds, 1))
    return {f"arm {a}": dict(enumerate(runs)) for a, runs in enumerate(scores)}


def test_two_seeds_and_ten_images_by_hand():
    # d[s, i] = 0.2 +- 0.1 (seed) +- 0.3 (image), no interaction. Hence:
    #   S = own variance of the seeds' means / K = 0.02 / 2 = 0.01, and pooled 2 v / K is the same with two arms, df 1
    #   I = variance of the images' means / n = (0.09 * 10 / 9) / 10 = 0.01
    #   degrees = 0.02^2 / (0.01^2 / 1 + 0.01^2 / 9) = 3.6
    seeds, images = np.array([0.1, -0.1]), np.array([0.3, -0.3] * 5)
    d = 0.2 + seeds[:, None] + images[None, :]
    runs = {"base": {0: np.zeros(10), 1: np.zeros(10)}, "other": dict(enumerate(d))}
    contrast = compare_arms(runs, baseline="base")["other"]
    assert contrast.difference == pytest.approx(0.2)
    assert contrast.degrees == pytest.approx(3.6)
    assert contrast.p == pytest.approx(2 * stats.t.sf(0.2 / math.sqrt(0.02), 3.6))
    half = stats.t.ppf(0.975, 3.6) * math.sqrt(0.02)
    assert (contrast.interval.low, contrast.interval.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert (contrast.seeds, contrast.images, contrast.verdict) == (2, 10, SAME)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_that_of_the_mean_squares(seed):
    runs = study(arms=2, seed=seed)
    d = np.stack([runs["arm 1"][s] - runs["arm 0"][s] for s in range(3)])
    total, k, n = d.mean(), *d.shape
    of_seeds = n * ((d.mean(1) - total) ** 2).sum() / (k - 1)
    of_images = k * ((d.mean(0) - total) ** 2).sum() / (n - 1)
    of_both = ((d - d.mean(1)[:, None] - d.mean(0) + total) ** 2).sum() / ((k - 1) * (n - 1))
    error = (of_seeds + max(of_images - of_both, 0)) / (k * n)
    contrast = compare_arms(runs, baseline="arm 0")["arm 1"]
    half = (contrast.interval.high - contrast.interval.low) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, contrast.degrees) * math.sqrt(error))


def test_the_pooled_variance_is_the_interaction_of_arms_and_seeds():
    runs = study()
    means = np.array([[run.mean() for run in seeds.values()] for seeds in runs.values()])
    rest = means - means.mean(0) - means.mean(1, keepdims=True) + means.mean()
    variance, degrees = pooled_variance(runs)
    assert degrees == (4 - 1) * (3 - 1)
    assert variance == pytest.approx((rest**2).sum() / degrees)


def test_a_seed_that_moves_all_arms_alike_is_no_error():
    plain, moved = study(), study()
    for runs in moved.values():
        for number, run in runs.items():
            run += 0.3 * number
    before, after = (compare_arms(each, baseline="arm 0")["arm 2"] for each in (plain, moved))
    assert after.p == pytest.approx(before.p)


def test_one_seed_and_the_interval_is_over_images_only():
    runs = {name: {0: seeds[0]} for name, seeds in study(arms=2).items()}
    contrast = compare_arms(runs, baseline="arm 0")["arm 1"]
    d = runs["arm 1"][0] - runs["arm 0"][0]
    reference = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (contrast.interval.low, contrast.interval.high) == pytest.approx((reference.low, reference.high))
    assert contrast.p is None and contrast.verdict == UNTESTED and "one seed" in contrast.reason


def test_the_order_of_images_seeds_and_arms_does_not_matter():
    runs = study()
    order = np.random.default_rng(1).permutation(30)
    shuffled = {name: {s: run[order] for s, run in reversed(seeds.items())} for name, seeds in reversed(runs.items())}
    first, second = compare_arms(runs, baseline="arm 0"), compare_arms(shuffled, baseline="arm 0")
    for name, contrast in first.items():
        assert second[name].p_holm == pytest.approx(contrast.p_holm)
        assert second[name].difference == pytest.approx(contrast.difference)


@pytest.mark.parametrize(("scale", "shift"), [(100.0, 0.0), (1.0, -3.0)])
def test_the_unit_of_the_score_does_not_matter(scale, shift):
    runs = study()
    other = {name: {s: scale * run + shift for s, run in seeds.items()} for name, seeds in runs.items()}
    first, second = compare_arms(runs, baseline="arm 0"), compare_arms(other, baseline="arm 0")
    assert [second[name].p for name in first] == pytest.approx([contrast.p for contrast in first.values()])


def test_changing_sides_changes_the_sign_only():
    runs = study(arms=2)
    there = compare_arms(runs, baseline="arm 0")["arm 1"]
    back = compare_arms(runs, baseline="arm 1")["arm 0"]
    assert back.difference == pytest.approx(-there.difference)
    assert back.p == pytest.approx(there.p)


def test_better_follows_the_direction_of_the_metric():
    runs = study(arms=2)
    runs["arm 1"] = {s: run + 0.5 for s, run in runs["arm 1"].items()}
    assert compare_arms(runs, baseline="arm 0")["arm 1"].verdict == BETTER
    assert compare_arms(runs, baseline="arm 0", higher_is_better=False)["arm 1"].verdict == WORSE


def test_p_is_corrected_for_the_number_of_arms_that_were_tested():
    runs = {**study(arms=4), "failed": {}}
    found = compare_arms(runs, baseline="arm 0")
    assert found.pop("failed").verdict == UNTESTED
    smallest = min(found.values(), key=lambda contrast: contrast.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.p))


def test_equal_arms_are_not_different():
    one = study(arms=1)["arm 0"]
    contrast = compare_arms({"a": one, "b": dict(one)}, baseline="a")["b"]
    assert (contrast.difference, contrast.p, contrast.verdict) == (0.0, 1.0, SAME)


def test_a_difference_that_is_the_same_everywhere_is_found():
    one = study(arms=1)["arm 0"]
    contrast = compare_arms({"a": one, "b": {s: run + 0.25 for s, run in one.items()}}, baseline="a")["b"]
    assert contrast.verdict == BETTER and contrast.p < 1e-6


def test_failed_runs_are_left_out_in_pairs():
    runs = study(arms=3, seeds=4)
    del runs["arm 1"][2], runs["arm 0"][0]
    contrast = compare_arms(runs, baseline="arm 0")["arm 1"]
    assert contrast.seeds == 2
    paired = [runs["arm 1"][s].mean() - runs["arm 0"][s].mean() for s in (1, 3)]
    assert contrast.difference == pytest.approx(np.mean(paired))
    assert pooled_variance(runs)[1] == 10 - (3 + 4 - 1)


@pytest.mark.parametrize(
    ("arm", "reason"),
    [({}, "no finished run"), ({7: np.zeros(30)}, "no finished run with a seed of the baseline")],
)
def test_an_arm_that_cannot_be_paired_says_why(arm, reason):
    contrast = compare_arms({**study(arms=2), "odd": arm}, baseline="arm 0")["odd"]
    assert contrast.difference is None and contrast.p is None and reason in contrast.reason


def test_few_images_are_not_tested():
    contrast = compare_arms(study(images=9), baseline="arm 0")["arm 1"]
    assert contrast.difference is not None and contrast.p is None and "9 images" in contrast.reason


def test_an_unstable_arm_answers_for_itself():
    # Nine calm arms would hide the variance of the tenth, were it only pooled.
    rng = np.random.default_rng(0)
    runs = {f"arm {a}": {s: rng.normal(0.5, 0.1, 200) for s in range(3)} for a in range(9)}
    wild = {s: rng.normal(0.5, 0.1, 200) + move for s, move in enumerate((0.0, 0.3, 0.0))}
    contrast = compare_arms({**runs, "wild": wild}, baseline="arm 0")["wild"]
    own = np.var([wild[s].mean() - runs["arm 0"][s].mean() for s in range(3)], ddof=1) / 3
    half = (contrast.interval.high - contrast.interval.low) / 2
    assert half >= stats.t.ppf(0.975, contrast.degrees) * math.sqrt(own) * (1 - 1e-9)


def test_the_interval_over_seeds_is_students():
    spread = over_seeds([0.1, 0.2, 0.6, 0.3])
    reference = stats.t.interval(0.95, 3, np.mean([0.1, 0.2, 0.6, 0.3]), stats.sem([0.1, 0.2, 0.6, 0.3]))
    assert (spread.low, spread.high) == pytest.approx(reference)
    assert over_seeds([0.1]) is None and over_seeds([]) is None


def test_figures_of_images_are_their_means_where_questions_are_as_many():
    rows = np.array([[2.0, 3.0], [0.0, 3.0], [3.0, 3.0]])
    assert image_figures(Totals(rows, ratio)).tolist() == pytest.approx([2 / 3, 0.0, 1.0])


def test_figures_of_images_have_the_score_as_their_mean_and_the_jackknife_as_their_variance():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 4, 40), rng.integers(4, 9, 40)]).astype(float)
    totals = Totals(rows, lambda sums: np.exp(ratio(sums)))  # not linear, images of unequal weight
    figures = image_figures(totals)
    without = totals.value(rows.sum(0, keepdims=True) - rows)
    jackknife = 39 / 40 * ((without - without.mean()) ** 2).sum()
    assert figures.mean() == pytest.approx(totals.value(rows.sum(0, keepdims=True))[0])
    assert figures.var(ddof=1) / 40 == pytest.approx(jackknife)
    assert image_figures(mean_totals([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_the_figure_of_a_single_image_is_the_score():
    assert image_figures(mean_totals([0.25])).tolist() == [0.25]
    runs = {"a": {0: np.array([0.25])}, "b": {0: np.array([1.0])}}
    contrast = compare_arms(runs, baseline="a")["b"]
    assert contrast.difference == 0.75 and contrast.reason.startswith("1 image; a test needs")


def test_a_run_without_a_number_has_no_difference_and_leaves_the_others_alone():
    runs = {**study(arms=3), "odd": {s: np.full(30, np.nan) for s in range(3)}}
    found = compare_arms(runs, baseline="arm 0")
    assert found["odd"].difference is None and "is no number" in found["odd"].reason
    assert found["arm 1"].p == compare_arms(study(arms=3), baseline="arm 0")["arm 1"].p
