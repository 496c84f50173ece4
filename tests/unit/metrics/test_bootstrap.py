import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics import Resampling, check_items, score_items, with_intervals
from panollava.metrics.bootstrap import bca_intervals, by_cluster, cluster_ids, draws
from panollava.metrics.metric import mean_totals

from .official import random_captions


def covered(make, truth, *, images, trials):
    """How many of the intervals of seeded synthetic data hold the truth."""
    hits = 0
    for trial in range(trials):
        scores, clusters = make(np.random.default_rng(1000 + trial), images)
        chosen = Resampling(resamples=400, seed=trial)
        [interval] = bca_intervals([mean_totals(scores)], clusters=clusters, resampling=chosen)
        hits += interval.low <= truth <= interval.high
    return hits


def answers(generator, images):
    """Right and wrong answers, four to an image, which are hard or easy together."""
    clusters = np.repeat(np.arange(images), 4)
    return (generator.random(4 * images) < generator.beta(0.4, 0.4, images)[clusters]).astype(float), clusters


def skewed(generator, images):
    clusters = np.repeat(np.arange(images), 3)
    return generator.exponential(1, images)[clusters] * generator.exponential(1, 3 * images), clusters


def test_intervals_cover_the_truth_as_often_as_they_say():
    # 300 intervals at 95 %: 285 expected, standard deviation 3.8; the seeds are fixed, so the counts are too
    assert 276 <= covered(answers, 0.5, images=40, trials=300) <= 294
    assert 262 <= covered(skewed, 1.0, images=60, trials=300) <= 292


def test_intervals_that_forget_the_images_cover_too_rarely():
    def alone(generator, images):
        scores, _ = answers(generator, images)
        return scores, np.arange(len(scores))

    assert covered(alone, 0.5, images=40, trials=300) < 250


def test_equal_seeds_give_equal_intervals_and_blocks_do_not_matter(monkeypatch):
    scores, clusters = answers(np.random.default_rng(3), 50)
    first = bca_intervals([mean_totals(scores)], clusters=clusters)
    assert first == bca_intervals([mean_totals(scores)], clusters=clusters)
    assert first != bca_intervals([mean_totals(scores)], clusters=clusters, resampling=Resampling(seed=1))
    monkeypatch.setattr("panollava.metrics.bootstrap.BLOCK", 500)
    assert first == bca_intervals([mean_totals(scores)], clusters=clusters)


def test_a_draw_takes_as_many_clusters_as_there_are():
    counts = np.concatenate(list(draws(30, Resampling(resamples=200))))
    assert counts.shape == (200, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert abs(counts.mean(axis=0) - 1).max() < 0.35


def test_the_normal_case_agrees_with_the_formula():
    scores = np.random.default_rng(5).normal(2.0, 1.0, 900)
    [interval] = bca_intervals([mean_totals(scores)], clusters=np.arange(900), resampling=Resampling(5000))
    half = 1.96 * scores.std() / 30
    assert interval.low == pytest.approx(scores.mean() - half, abs=0.006)
    assert interval.high == pytest.approx(scores.mean() + half, abs=0.006)


def test_bias_and_acceleration_follow_the_skew():
    scores = np.random.default_rng(6).exponential(1.0, 60)
    [interval] = bca_intervals([mean_totals(scores)], clusters=np.arange(60), resampling=Resampling(4000))
    assert interval.high - scores.mean() > 1.15 * (scores.mean() - interval.low)


def test_what_does_not_vary_has_no_width_and_says_so():
    [interval] = bca_intervals([mean_totals(np.ones(20))], clusters=np.arange(20))
    assert (interval.low, interval.high, interval.method) == (1.0, 1.0, "none")


def test_few_images_give_no_interval_and_the_reason():
    items = check_items(["a"] * 20, ["a"] * 20, images=["i", "j"] * 10)
    report = with_intervals(score_items(items, metrics=["exact_match"]), items=items)
    assert report["exact_match"].interval is None
    assert report.interval_note == "no intervals: 2 images, at least 10 are needed"


def test_a_metric_that_concerns_few_images_has_no_interval():
    items = check_items(["2"] * 20, ["2"] * 9 + ["red"] * 11)
    report = with_intervals(score_items(items, metrics=["number_accuracy", "exact_match"]), items=items)
    assert report["number_accuracy"].interval is None
    assert report["exact_match"].interval is not None


def test_every_metric_of_captions_has_an_interval_around_its_value():
    predictions, references = random_captions(2, 80)
    items = check_items(predictions, references, images=[f"{i // 2}.jpg" for i in range(80)])
    names = ["bleu4", "meteor", "rougeL", "cider", "coco_bleu1", "coco_bleu4", "coco_rougeL", "exact_match"]
    report = with_intervals(score_items(items, metrics=names), items=items)
    assert "over 40 images" in report.interval_note
    for result in report.results:
        assert result.interval.clusters == 40
        whole = result.totals.value(result.totals.rows.sum(axis=0, keepdims=True))[0]
        assert whole == pytest.approx(result.value, abs=1e-12)
        if result.name != "exact_match":
            assert result.interval.low < result.value < result.interval.high
    assert report.to_dict()["metrics"]["cider"]["interval"]["method"] == "bca"


def test_an_image_without_a_name_is_one_by_itself():
    items = check_items(["a"] * 4, ["a"] * 4, images=["i", "", "i", ""])
    assert cluster_ids(items).tolist() == [0, 1, 0, 2]
    assert by_cluster(np.ones((4, 1)), cluster_ids(items)).ravel().tolist() == [2.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [((50, 0, 0.95), "50 resamples"), ((1000, -1, 0.95), "the seed -1"), ((1000, 0, 95.0), "the confidence 95.0")],
)
def test_settings_are_checked(values, message):
    with pytest.raises(MetricError, match=message):
        Resampling(*values)


def test_scipys_bca_interval_is_the_same_to_chance():
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with other packages, not by itself")
    scores = np.random.default_rng(0).exponential(1.0, 40)
    theirs = stats.bootstrap((scores,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(1))
    [ours] = bca_intervals([mean_totals(scores)], clusters=np.arange(40), resampling=Resampling(20_000))
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02 * spread)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * spread)
