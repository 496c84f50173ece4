import math
from collections import Counter

import numpy as np
import pytest

from panollava.metrics.cider import cider

from .official import official, random_captions

COCO = official("coco")


def split(texts):
    return [text.split() for text in texts]


def test_equals_pycocoevalcap():
    scores = cider(split(COCO["prediction_tokens"]), [split(group) for group in COCO["reference_tokens"]])
    np.testing.assert_allclose(scores, COCO["cider_per_item"], rtol=0, atol=1e-12)


def test_hand_computed():
    """Two items, one reference each; log 2 cancels in the cosine, "a" occurs in both items and weighs 0.

    Item 1: prediction "a b", reference "a c b": 1-grams: vectors (b: 1) and (c: 1, b: 1) -> 1 / sqrt(2);
    2-grams "a b" against "a c", "c b": 0. Lengths in bigrams 1 and 2 -> exp(-1 / 72).
    """
    scores = cider([["a", "b"], ["x"]], [[["a", "c", "b"]], [["a", "y"]]])
    assert scores[0] == pytest.approx(10 / 4 / math.sqrt(2) * math.exp(-1 / 72), abs=1e-14)
    assert scores[1] == 0.0


def test_plain_cider_has_neither_clipping_nor_length_penalty():
    # prediction (b: 3) against reference (b: 1): the cosine is 1 for 1-grams and the clipped one is 1/3
    prediction, references = [["b", "b", "b"], ["x"]], [[["b"]], [["y"]]]
    assert cider(prediction, references, clip=False, sigma=None)[0] == pytest.approx(2.5)
    assert cider(prediction, references, sigma=None)[0] == pytest.approx(2.5 / 3)


def naive(predictions, references):
    """The definition, with dictionaries."""

    def counts(words, n):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    frequency = Counter()
    for group in references:
        frequency.update({gram for words in group for n in range(1, 5) for gram in counts(words, n)})

    def vector(words, n):
        size = math.log(len(references))
        return {g: c * (size - math.log(max(1, frequency[g]))) for g, c in counts(words, n).items()}

    scores = []
    for words, group in zip(predictions, references, strict=True):
        total = 0.0
        for other in group:
            delta = max(len(words) - 1, 0) - max(len(other) - 1, 0)
            for n in range(1, 5):
                ours, theirs = vector(words, n), vector(other, n)
                norm = math.sqrt(sum(x * x for x in ours.values()) * sum(x * x for x in theirs.values()))
                dot = sum(min(x, theirs.get(g, 0.0)) * theirs.get(g, 0.0) for g, x in ours.items())
                total += (dot / norm if norm else 0.0) * math.exp(-(delta**2) / 72)
        scores.append(total / 4 / len(group) * 10)
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_definition_on_random_captions(seed):
    predictions, references = random_captions(seed, 40)
    ours = cider(split(predictions), [split(group) for group in references])
    np.testing.assert_allclose(ours, naive(split(predictions), [split(g) for g in references]), atol=1e-12)


@pytest.mark.parametrize("prediction", [["a", "b"], []])
def test_one_item_and_identical_references_score_zero_as_in_pycocoevalcap(prediction):
    assert cider([prediction], [[["a", "b"]]]).tolist() == [0.0]
    assert cider([prediction, ["b"]], [[["a", "b"]], [["a", "b"]]]).tolist() == [0.0, 0.0]


def test_nothing_in_common_and_nothing_said():
    assert cider([[], []], [[["a"]], [["b"]]]).tolist() == [0.0, 0.0]
    assert cider([["x"], ["y"]], [[["a"]], [[]]]).tolist() == [0.0, 0.0]
