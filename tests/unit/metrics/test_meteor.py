import random

import numpy as np
import pytest

from panollava.errors import MetricError, MetricUnavailable
from panollava.metrics import meteor as module
from panollava.metrics.meteor import meteor
from panollava.metrics.wordnet import load_wordnet
from panollava.metrics.wordnet_nltk import NltkWordNet, load_nltk_wordnet

from .official import official, random_captions

COCO, NLTK = official("coco"), official("nltk")


def split(texts):
    return [text.split() for text in texts]


def by_nltk(predictions, references):
    nltk = pytest.importorskip("nltk.translate.meteor_score", reason="NLTK is the reference and is not installed")
    return [
        nltk.meteor_score(group, words, wordnet=load_wordnet())
        for words, group in zip(predictions, references, strict=True)
    ]


def test_equals_nltk_with_its_own_wordnet_bit_for_bit():
    scores = meteor(split(COCO["prediction_tokens"]), [split(group) for group in COCO["reference_tokens"]])
    assert scores.tolist() == NLTK["meteor"]


@pytest.mark.parametrize("seed", range(3))
def test_equals_nltk_on_the_packaged_wordnet_bit_for_bit(seed):
    predictions, references = random_captions(seed, 60)
    predictions, references = split(predictions), [split(group) for group in references]
    np.testing.assert_array_equal(meteor(predictions, references), by_nltk(predictions, references))


@pytest.mark.parametrize("seed", range(3))
def test_equals_nltk_where_words_repeat_and_many_are_synonyms(seed):
    words = "Dog dog dogs domestic hound run runs running runner car auto machine automobile cars big large"
    draw = random.Random(seed)
    predictions = [draw.choices(words.split(), k=draw.randint(0, 20)) for _ in range(150)]
    references = [
        [draw.choices(words.split(), k=draw.randint(0, 20)) for _ in range(draw.randint(1, 4))] for _ in predictions
    ]
    np.testing.assert_array_equal(meteor(predictions, references), by_nltk(predictions, references))


def test_a_corpus_in_parts_scores_as_a_whole(monkeypatch):
    predictions, references = random_captions(9, 25)
    predictions, references = split(predictions), [split(group) for group in references]
    whole = meteor(predictions, references)
    monkeypatch.setattr(module, "ITEMS_AT_ONCE", 7)
    np.testing.assert_array_equal(meteor(predictions, references), whole)


def test_synonyms_are_looked_up_on_stems_as_nltk_does():
    # "happi" is no word: the stems of "happily" and "gladly" meet nothing in WordNet
    assert meteor([["happy"]], [[["glad"]]])[0] == 0.0
    assert meteor([["sofa"]], [[["couch"]]])[0] > 0.0


def test_synonyms_take_the_last_free_partner_from_the_right():
    # the right "sofa" takes the right "couch", the left one the left: one chunk of 4
    assert meteor([["sofa", "x", "sofa", "y"]], [[["couch", "x", "couch", "y"]]])[0] == 1 - 0.5 * (1 / 4) ** 3


def test_empty_prediction_scores_zero():
    assert meteor([[], ["a"]], [[["a"]], [["a"]]]).tolist() == [0.0, 0.5]
    assert meteor([[]], [[[]]]).tolist() == [0.0]
    assert meteor([], []).tolist() == []


def test_another_wordnet_is_used():
    class Nothing:
        def synonyms(self, word):
            return frozenset()

    assert meteor([["sofa"]], [[["couch"]]], wordnet=Nothing()).tolist() == [0.0]
    by_reader = meteor([["sofa", "the"]], [[["a", "couch"]]], wordnet=NltkWordNet(load_wordnet()))
    assert by_reader.tolist() == meteor([["sofa", "the"]], [[["a", "couch"]]]).tolist() > [0.0]


def test_bad_input_is_named():
    with pytest.raises(MetricError, match="2 predictions but 1 groups"):
        meteor([["a"], ["b"]], [[["a"]]])
    with pytest.raises(MetricError, match="item 2 has no reference"):
        meteor([["a"], ["b"]], [[["a"]], []])


def test_nltk_data_and_the_packaged_table_agree_where_nltk_data_is():
    try:
        theirs = load_nltk_wordnet()
    except MetricUnavailable as error:
        pytest.skip(str(error))
    predictions, references = random_captions(4, 60)
    predictions, references = split(predictions), [split(group) for group in references]
    scores = meteor(predictions, references, wordnet=theirs)
    np.testing.assert_array_equal(scores, meteor(predictions, references))
