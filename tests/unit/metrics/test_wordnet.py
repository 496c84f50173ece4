import hashlib
import lzma
from importlib import resources

import pytest

from panollava.metrics.wordnet import load_wordnet

from .official import official

SYNONYMS = official("nltk")["synonyms"]


@pytest.mark.parametrize("word", SYNONYMS)
def test_synonyms_equal_those_of_nltks_reader(word):
    assert sorted(load_wordnet().synonyms(word)) == SYNONYMS[word]
    names = {lemma.name() for synset in load_wordnet().synsets(word) for lemma in synset.lemmas()}
    assert sorted(name for name in names if "_" not in name) == SYNONYMS[word]


def test_the_table_is_the_one_that_was_compared_with_nltk_word_by_word():
    packed = resources.files("panollava.metrics").joinpath("wordnet30.xz").read_bytes()
    digest = hashlib.sha256(lzma.decompress(packed)).hexdigest()
    assert digest == "29f859c1c0fb1eb9052fcffafd027170d284653f77c9ed32233687bb95bab8f3"


def test_the_licence_travels_with_the_table():
    text = resources.files("panollava.metrics").joinpath("LICENSE-WordNet").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
