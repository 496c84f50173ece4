import lzma
import random
from importlib import resources

import pytest

from panollava.metrics.porter import stem

ENDINGS = """s es ed ing er est ly ies ied y ness ful fulness ation ational tional enci anci izer bli alli entli eli
ousli ization ator alism iveness ousness aliti iviti biliti fulli logi icate ative alize iciti ical al ance ence ic
able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize eed ell ll"""


@pytest.fixture(scope="module")
def nltk_stem():
    porter = pytest.importorskip("nltk.stem.porter", reason="NLTK is the reference and is not installed")
    return porter.PorterStemmer().stem


def differing(words, nltk_stem):
    return [word for word in words if stem(word) != nltk_stem(word)]


def test_inflected_words_of_wordnet_have_nltks_stems(nltk_stem):
    text = lzma.decompress(resources.files("panollava.metrics").joinpath("wordnet30.xz").read_bytes()).decode()
    words = sorted({word for entry in text.split() for word in entry.split("_")})
    draw = random.Random(0)
    sample = draw.sample(words, 4000)
    assert differing(sample + [word + draw.choice(ENDINGS.split()) for word in sample], nltk_stem) == []


@pytest.mark.parametrize("seed", range(3))
def test_random_letters_have_nltks_stems(seed, nltk_stem):
    draw = random.Random(seed)
    parts = [*ENDINGS.split(), *"aeiouybcdlstzwxr", "*d", "'", "-", "Y", "\u0130", "\u212a", "\u00e9"]
    words = ["".join(draw.choices(parts, k=draw.randint(0, 6))) for _ in range(6000)]
    assert differing(words, nltk_stem) == []


def test_examples_of_the_paper():
    pairs = {
        "caresses": "caress",
        "ponies": "poni",
        "agreed": "agre",
        "plastered": "plaster",
        "hopping": "hop",
        "filing": "file",
        "falling": "fall",
        "relational": "relat",
        "vietnamization": "vietnam",
        "triplicate": "triplic",
        "adoption": "adopt",
        "controll": "control",
        "roll": "roll",
    }
    assert {word: stem(word) for word in pairs} == pairs
