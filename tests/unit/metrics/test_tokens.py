import pytest

from panollava.metrics.items import check_items
from panollava.metrics.ngrams import NgramTable
from panollava.metrics.tokens import TokenTable, corpus_tokens, tokenizer_named

from .official import random_captions

HARD = [
    "It's A-OK, 3.5 m.",
    "",
    "a\nb\r\nc",
    "Caf\u00e9 \u2028 \uc18c\ud30c 2",
    "x &amp; y-\nz <skipped>",
    "4 1/2 cups",
]


@pytest.mark.parametrize("name", ["ptb-py", "rouge", "13a", "intl", "char", "none"])
def test_a_corpus_has_the_tokens_of_its_texts(name):
    split = tokenizer_named(name)
    assert corpus_tokens(HARD, tokenizer=name) == [split(text) for text in HARD]


def test_tokens_are_grouped_by_item():
    predictions, references = random_captions(0, 20)
    table = TokenTable(check_items(predictions, references))
    split = tokenizer_named("ptb-py")
    assert table("ptb-py") == (
        [split(text) for text in predictions],
        [[split(text) for text in group] for group in references],
    )
    assert table("ptb-py") is table("ptb-py")


def test_ngrams_keep_case_only_where_asked_and_split_at_no_break_spaces():
    table = TokenTable(check_items(["4 1/2 Cups"], ["Cups"]))
    assert table("ptb-py")[0] == [["4\u00a01/2", "cups"]]
    assert table.ngrams("ptb-py").captions.length.tolist() == [3, 1]
    assert table.ngrams("ptb-py") is table.ngrams("ptb-py")
    mixed = TokenTable(check_items(["Cups cups"], ["cups"]))
    assert len(set(mixed.ngrams("13a", cased=True).captions.words.tolist())) == 2
    assert len(set(mixed.ngrams("13a").captions.words.tolist())) == 1
    assert isinstance(mixed.ngrams("13a"), NgramTable)
