import numpy as np
import pytest

from panollava.metrics.meteor import meteor
from panollava.metrics.wordnet import load_wordnet

from .official import official, random_captions

COCO, NLTK = official("coco"), official("nltk")


def split(texts):
    return [text.split() for text in texts]


def test_equals_nltk_with_its_own_wordnet_bit_for_bit():
    scores = meteor(split(COCO["prediction_tokens"]), [split(group) for group in COCO["reference_tokens"]])
    assert scores.tolist() == NLTK["meteor"]


@pytest.mark.parametrize("seed", range(3))
def test_equals_nltk_on_the_packaged_wordnet_bit_for_bit(seed):
    from nltk.translate.meteor_score import meteor_score

    predictions, references = random_captions(seed, 60)
    predictions, references = split(predictions), [split(group) for group in references]
    theirs = [
        meteor_score(group, words, wordnet=load_wordnet()) for words, group in zip(predictions, references, strict=True)
    ]
    np.testing.assert_array_equal(meteor(predictions, references), theirs)


def test_synonyms_are_looked_up_on_stems_as_nltk_does():
    # "happi" is no word: the stems of "happily" and "gladly" meet nothing in WordNet
    assert meteor([["happy"]], [[["glad"]]])[0] == 0.0
    assert meteor([["sofa"]], [[["couch"]]])[0] > 0.0


def test_empty_prediction_scores_zero():
    assert meteor([[], ["a"]], [[["a"]], [["a"]]]).tolist() == [0.0, 0.5]
