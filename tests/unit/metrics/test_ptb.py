import random
import re

import pytest

from panollava.metrics.ptb import LINE_BREAKS, PUNCTUATION, ptb_lines, ptb_tokens
from panollava.metrics.ptb_jar import official_tokens
from panollava.metrics.ptb_reader import read_tokens

from .official import official
from .official_java import needs_coco

COCO = official("coco")


def without_punctuation(line):
    return [token for token in line.split(" ") if token and token not in PUNCTUATION]


@pytest.mark.parametrize(("text", "java"), official("ptb")["pairs"])
def test_equals_the_java_tokenizer_less_punctuation(text, java):
    assert ptb_tokens(text) == without_punctuation(java)


@pytest.mark.parametrize("name", ["ptb_own", "ptb_hard"])
def test_a_file_of_hard_lines_equals_the_java_tokenizer(name):
    """Texts of our own and generated ones, one stream; the file names the command that made it."""
    pairs = official(name)["pairs"]
    tokens = ptb_lines([text for text, _ in pairs])
    differing = [
        (text, java, ours)
        for (text, java), ours in zip(pairs, tokens, strict=True)
        if without_punctuation(java) != ours
    ]
    assert differing == []


def test_tokens_of_the_scored_captions_equal_the_java_tokenizers():
    texts = [*COCO["predictions"], *(text for group in COCO["references"] for text in group)]
    tokens = [*COCO["prediction_tokens"], *(text for group in COCO["reference_tokens"] for text in group)]
    assert [" ".join(ptb_tokens(text)) for text in texts] == tokens


@pytest.mark.parametrize("mark", ["\r", "\u0085", "\u2028", "\n", "\t", "\v"])
def test_line_marks_are_white_space_and_shift_nothing(mark):
    assert ptb_tokens(f"a red{mark}sofa") == ["a", "red", "sofa"]


@pytest.mark.parametrize(
    ("following", "last"),
    [("", "t."), ("Several men", "t."), ("the end", "t."), ("A man", "t"), ("  The man", "t"), ("Then", "t")],
)
def test_a_last_single_letter_is_read_with_the_next_caption(following, last):
    assert ptb_tokens("On Model T.", following=following) == ["on", "model", last]
    assert ptb_lines(["On Model T.", " ", following])[0] == ["on", "model", last]


def test_short_cuts_give_what_the_rules_give():
    """Plain text, remembered chunks and the rules agree, on texts that mix what each of them may read."""
    draw = random.Random(0)
    pieces = [
        "a",
        "St.",
        "st.",
        "cannot",
        "gonna.",
        "no.",
        "5",
        "1/2",
        "T.",
        "(555)",
        "x,",
        ".",
        "<b",
        ">",
        "don't",
        "A",
    ]
    pieces += ["e.g.", "U.S.", "'n", "'90", "1,", "caf\u00e9", "Mass.", "mass.", "-", "...", "The", "", "?!", "fig."]
    for _ in range(3000):
        text = " ".join(draw.choices(pieces, k=draw.randint(0, 6)))
        tokens = [token for token in read_tokens(text, following="The") if token not in PUNCTUATION]
        assert ptb_tokens(text, following="The") == tokens, text


def test_no_token_is_empty_and_none_holds_a_plain_space():
    draw = random.Random(1)
    for _ in range(2000):
        text = "".join(draw.choices("aB1 .,'-/<>&;:\u00ad\u2019\u00e9\u0301\U0001f600\u00a0\t\x00\n@_#", k=12))
        tokens = ptb_tokens(text)
        assert all(token and " " not in token for token in tokens), text
        assert not any(LINE_BREAKS.search(token) for token in tokens), text


def test_long_texts_of_one_sign_are_read_in_one_pass():
    assert ptb_tokens("a" * 200_000) == ["a" * 200_000]
    assert len(ptb_tokens("a$" * 2000)) == 4000


@needs_coco
def test_the_installed_jar_gives_the_same_tokens():
    texts = [re.sub(LINE_BREAKS, " ", text) for text, _ in official("ptb_hard")["pairs"]]
    assert official_tokens(texts) == ptb_lines(texts)
