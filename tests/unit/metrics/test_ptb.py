import pytest

from panollava.metrics.ptb import PUNCTUATION, ptb_tokens

from .official import official

COCO = official("coco")


@pytest.mark.parametrize(("text", "java"), official("ptb")["pairs"])
def test_equals_the_java_tokenizer_less_punctuation(text, java):
    assert ptb_tokens(text) == [token for token in java.split(" ") if token not in PUNCTUATION]


def test_tokens_of_the_scored_captions_equal_the_java_tokenizers():
    texts = [*COCO["predictions"], *(text for group in COCO["references"] for text in group)]
    tokens = [*COCO["prediction_tokens"], *(text for group in COCO["reference_tokens"] for text in group)]
    assert [" ".join(ptb_tokens(text)) for text in texts] == tokens


@pytest.mark.parametrize("mark", ["\r", "\u0085", "\u2028", "\n", "\t"])
def test_line_marks_are_white_space_and_shift_nothing(mark):
    assert ptb_tokens(f"a red{mark}sofa") == ["a", "red", "sofa"]


@pytest.mark.parametrize("text", ["", " ", ".", "?!", ",", "a.", "St.", "cannot", "I can't, gonna."])
def test_the_short_cut_for_plain_text_gives_what_the_rules_give(text):
    from panollava.metrics.ptb import _tokens

    assert ptb_tokens(text) == [token for token in _tokens(text) if token not in PUNCTUATION]
