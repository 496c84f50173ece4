"""Scores of answers whose right values can be counted by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from panollava.data.manifest import Sample
from panollava.evaluation.predict import Answers
from panollava.evaluation.score import score
from panollava.metrics import load_custom

IMAGE = Path("a.jpg")


def answers(*rows):
    """Make samples of (kind, reference, prediction) with 2 nats on 2 tokens each."""
    samples = [
        Sample(IMAGE, f"q{i}", reference, kind, str(i), "a.jpg", "m", i, prediction)
        for i, (kind, reference, prediction) in enumerate(rows)
    ]
    return Answers(samples, [2.0] * len(rows), [2] * len(rows))


MIXED = answers(
    ("existence", "yes", "Yes."),
    ("existence", "no", "yes"),
    ("direction8", "front right", "front right"),
    ("direction8", "left", "behind left"),
    ("caption_global", "a red ball on the grass", "a red ball on the grass"),
)


def test_accuracy_is_that_of_questions_and_captions_are_scored_as_captions():
    got = score(MIXED, metrics=["bleu4", "rougeL"])
    assert got["accuracy"] == 0.5 and got["questions"] == 4
    assert {k: (v["accuracy"], v["count"]) for k, v in got["by_kind"].items()} == {
        "existence": (0.5, 2),
        "direction8": (0.5, 2),
    }
    assert got["by_kind"]["direction8"]["chance"] == pytest.approx(1 / 8)
    assert got["caption_items"] == 1
    assert got["captions"]["rougeL"]["value"] == pytest.approx(1.0)
    assert got["perplexity"]["corpus"] == pytest.approx(2.718281828, rel=1e-6)


def test_a_neighbouring_direction_stands_beside_the_diagonal():
    directions = score(MIXED, metrics=["bleu4"])["direction8"]
    labels = directions["labels"]
    confusion = directions["confusion"]
    assert confusion[labels.index("front right")][labels.index("front right")] == 1
    assert confusion[labels.index("left")][labels.index("behind left")] == 1
    assert directions["soft"] == pytest.approx((1.0 + 0.0) / 2)


def test_only_the_right_sector_of_eight_scores():
    """Eight sectors are 45 degrees apart, where the soft score has just come down to nothing."""
    one = answers(("direction8", "left", "left"), ("direction8", "left", "behind left"), ("direction8", "left", "up"))
    assert score(one, metrics=["bleu4"])["direction8"]["soft"] == pytest.approx(1 / 3)


def test_open_questions_alone_have_no_accuracy_but_caption_scores():
    got = score(answers(("open", "the sky", "the sky"), ("open", "a tree", "")), metrics=["rougeL"])
    assert got["accuracy"] is None and got["by_kind"] == {} and got["direction8"] is None
    assert got["caption_items"] == 2 and got["captions"]["rougeL"]["value"] == pytest.approx(0.5)
    assert got["empty_predictions"] == 1


def test_a_metric_that_cannot_run_is_missing_with_its_reason():
    spice = score(MIXED, metrics=["spice"])["captions"]["spice"]
    assert spice["value"] is None and spice["reason"]


def test_a_tokenizer_and_metrics_of_ones_own_reach_the_captions(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def words(predictions, references):\n    return [float(len(p.split())) for p in predictions]\n")
    custom = load_custom([f"words={mine}:words"])
    captions = score(MIXED, metrics=["rougeL"], tokenizer="char", custom=custom)["captions"]
    assert list(captions) == ["rougeL", "words"]
    assert captions["words"]["value"] == 6.0
    assert "tok:char" in captions["rougeL"]["signature"]


def test_intervals_take_images_as_a_whole_and_ten_of_them_at_least():
    """Answers that are right or wrong by image say as much as one answer of each image."""

    def over(images, repeat):
        rows = [("count", "1", "1" if i % 3 else "2") for i in range(images) for _ in range(repeat)]
        rows += [
            ("caption_global", f"a red ball on the grass {i}", f"a red ball on the grass {i % 7}")
            for i in range(images)
        ]
        got = answers(*rows)
        places = [i for i in range(images) for _ in range(repeat)] + list(range(images))
        samples = [replace(s, image=Path(f"{at}.jpg")) for s, at in zip(got.samples, places, strict=True)]
        return score(Answers(samples, got.nll, got.tokens), metrics=["rougeL", "bleu4"])

    few, once, often = over(9, 4), over(30, 1), over(30, 4)
    assert (
        few["accuracy_interval"] is few["captions"]["rougeL"]["interval"] is few["by_kind"]["count"]["interval"] is None
    )
    interval = once["accuracy_interval"]
    assert interval["low"] < once["accuracy"] < interval["high"] and interval["clusters"] == 30
    assert often["accuracy_interval"]["low"] == pytest.approx(interval["low"])
    assert often["by_kind"]["count"]["interval"] == often["accuracy_interval"]
    for name in ("rougeL", "bleu4"):
        entry = once["captions"][name]
        assert entry["interval"]["low"] < entry["value"] < entry["interval"]["high"]
