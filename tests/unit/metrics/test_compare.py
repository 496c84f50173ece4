import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics import Resampling, check_items, compare_items, group_rows
from panollava.metrics.compare import _statistics, holm
from panollava.metrics.metric import mean_totals
from panollava.metrics.pairing import paired


def statistics(trial, *, images=30, effect=0.0):
    """Two models on the same images; images are hard together, and each model errs on images of its own."""
    generator, clusters = np.random.default_rng(9000 + trial), np.repeat(np.arange(images), 5)
    hard = generator.normal(size=images)[clusters]
    first, second = (
        hard + generator.normal(size=images)[clusters] + generator.normal(size=5 * images) + shift
        for shift in (0.0, effect)
    )
    [found] = _statistics([(mean_totals(first), mean_totals(second))], clusters, Resampling(400, trial))
    return found


def test_equal_models_differ_as_rarely_as_the_level_says_and_unequal_ones_are_found():
    equal = [statistics(trial) for trial in range(400)]
    # 400 tests at 5 %: 20 expected, standard deviation 4.4; the seeds are fixed, so the counts are too
    assert 9 <= sum(each.p_randomisation <= 0.05 for each in equal) <= 31
    assert 9 <= sum(each.p_bootstrap <= 0.05 for each in equal) <= 38
    assert 366 <= sum(each.interval.low <= 0 <= each.interval.high for each in equal) <= 392
    unequal = [statistics(trial, effect=1.2) for trial in range(60)]
    assert sum(each.p_randomisation <= 0.05 for each in unequal) >= 50
    assert 50 <= sum(each.interval.low <= 1.2 <= each.interval.high for each in unequal) <= 60


def test_tests_that_forget_the_images_find_differences_too_often():
    found = 0
    for trial in range(200):
        generator, clusters = np.random.default_rng(trial), np.repeat(np.arange(30), 5)
        pair = [mean_totals(generator.normal(size=30)[clusters] + generator.normal(size=150)) for _ in range(2)]
        [alone] = _statistics([tuple(pair)], np.arange(150), Resampling(200, trial))
        found += alone.p_randomisation <= 0.05
    assert found > 30  # 10 would be nominal


def items_of(predictions, references, **more):
    keys = {"images": [f"{i // 2}.jpg" for i in range(len(predictions))], "queries": ["a", "b"] * 20}
    return check_items(predictions, references, **{**keys, **more})


WORDS = [f"a red chair number{i}" for i in range(40)]


def test_a_better_model_is_better_in_every_metric_by_its_own_scores():
    worse = [text if i % 3 else "a blue lamp" for i, text in enumerate(WORDS)]
    result = compare_items(
        items_of(worse, WORDS), items_of(WORDS, WORDS), metrics=["bleu4", "rougeL", "cider", "spice"]
    )
    for name in ("bleu4", "rougeL", "cider"):
        each = result[name]
        assert each.difference == pytest.approx(each.second.value - each.first.value)
        assert 0 < each.interval.low < each.difference < each.interval.high
        assert each.p_randomisation == pytest.approx(1 / 10_001, rel=0.5)
        assert each.p_holm == pytest.approx(3 * each.p_randomisation)
        assert each.p_bootstrap < 0.01
    assert (result.items, result.clusters, result.protocol) == (40, 20, "rows")
    assert result["spice"].difference is None and result["spice"].reason
    assert result.to_dict()["metrics"]["spice"]["difference"] is None


def test_a_model_does_not_differ_from_itself():
    each = compare_items(items_of(WORDS, WORDS), items_of(WORDS, WORDS), metrics=["rougeL"])["rougeL"]
    assert (each.difference, each.p_randomisation, each.p_bootstrap) == (0.0, 1.0, 1.0)


def test_the_other_way_round_is_the_same_with_another_sign():
    other = [text if i % 3 else "a lamp" for i, text in enumerate(WORDS)]
    there = compare_items(items_of(WORDS, WORDS), items_of(other, WORDS), metrics=["bleu4"])["bleu4"]
    back = compare_items(items_of(other, WORDS), items_of(WORDS, WORDS), metrics=["bleu4"])["bleu4"]
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_randomisation == back.p_randomisation
    assert there.interval.low == pytest.approx(-back.interval.high, abs=1e-9)


def test_few_images_are_tested_without_a_bootstrap():
    few = {"images": ["i", "j"], "queries": ["?", "?"]}
    a, b = check_items(["x", "x"], ["r", "s"], **few), check_items(["r", "s"], ["r", "s"], **few)
    each = compare_items(a, b, metrics=["exact_match"])["exact_match"]
    assert (each.difference, each.interval, each.p_bootstrap) == (1.0, None, None)
    assert each.p_randomisation == pytest.approx(0.5, abs=0.03)  # of four ways to swap two images, two are as large


def test_rows_are_paired_whatever_their_order():
    rows = [("1.jpg", "q", "r"), ("1.jpg", "q", "s"), ("2.jpg", "q", "r")]
    images, queries, references = zip(*rows, strict=True)
    first = group_rows(["x", "x", "y"], references, images=images, queries=queries)
    second = group_rows(["Y", "X", "X"], ["r", "s", "r"], images=["2.jpg", "1.jpg", "1.jpg"], queries=["q"] * 3)
    assert paired(first, second).predictions == ("X", "Y")
    assert paired(first, second).references == (("r", "s"), ("r",))
    first = check_items(["x", "x", "y"], references, images=images, queries=queries)
    second = check_items(["2", "s", "r"], ["r", "s", "r"], images=["2.jpg", "1.jpg", "1.jpg"], queries=["q"] * 3)
    assert paired(first, second).predictions == ("r", "s", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": ["9.jpg"] * 2}, r"2 of 2 items of the first file are not in the second, 2 of 2 .*image '0.jpg'"),
        ({"references": ["r", "z"], "protocol": "grouped"}, r"1 of 2 items have other references"),
        ({"references": ["r", "z"], "protocol": "rows"}, r"1 of 2 items .*reference 's'.*reference 'z'"),
        ({"queries": None}, "the second file names not both image and query"),
        ({"other": "rows"}, "the first file is scored by 'grouped', the second by 'rows'"),
    ],
)
def test_items_that_do_not_pair_are_told(change, message):
    protocol = change.pop("protocol", "grouped")
    keys = {"references": ["r", "s"], "images": ["0.jpg", "1.jpg"], "queries": ["q", "q"]}
    first = check_items(["x", "y"], protocol=protocol, **keys)
    second = check_items(["x", "y"], protocol=change.pop("other", protocol), **{**keys, **change})
    with pytest.raises(MetricError, match=message):
        paired(first, second)


def test_holm_adjusts_step_by_step():
    assert holm([0.01, 0.02, 0.5, 0.9]) == pytest.approx([0.04, 0.06, 1.0, 1.0])
    assert holm([0.04, 0.04]) == pytest.approx([0.08, 0.08])
    assert holm([]) == []
