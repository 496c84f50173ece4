"""Scores of answers whose right values can be counted by hand."""

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
