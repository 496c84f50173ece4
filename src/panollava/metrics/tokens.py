"""Tokenizers by name, the names that signatures use.

``ptb-py``     Penn Treebank as in COCO caption evaluation, lower case (``ptb.py``)
``ptb-3.4.1``  the same by the official Java program (``ptb_jar.py``); asked for as ``ptb``
``rouge``      runs of a-z and 0-9, lower case (``rouge.py``)
others         sacrebleu's (13a, intl, char, zh, ko-mecab, ja-mecab, none), lower case except for BLEU-4 itself
"""

from collections.abc import Callable, Iterable, Sequence

from panollava.metrics.bleu import sacrebleu_metric
from panollava.metrics.items import Items
from panollava.metrics.ngrams import NgramTable
from panollava.metrics.ptb import ptb_lines, ptb_tokens
from panollava.metrics.ptb_jar import OFFICIAL_PTB, official_tokens
from panollava.metrics.rouge import rouge_corpus, rouge_tokens
from panollava.metrics.tokens_13a import tokens_13a

Tokens = list[list[str]]
PTB = ("ptb-py", OFFICIAL_PTB)


def choose_tokenizer(asked: str | None, *, default: str) -> str:
    """Return the name of the tokenizer a metric uses: the one asked for, or its own.

    Penn Treebank tokens are for the metrics that officially read them; the others keep their own.

    Example:
        >>> [choose_tokenizer(asked, default="13a") for asked in (None, "char", "ptb-3.4.1")]
        ['13a', 'char', '13a']
    """
    if asked is None or (asked in PTB and default not in PTB):
        return default
    return asked


def tokenizer_named(name: str) -> Callable[[str], list[str]]:
    """Return the function text -> lower-case tokens.

    Raises:
        MetricError: Nobody knows the name.
        MetricUnavailable: The package behind the tokenizer is not installed.

    Example:
        >>> tokenizer_named("char")("Sofa 2")
        ['s', 'o', 'f', 'a', '2']
    """
    if name == "ptb-py":
        return ptb_tokens
    if name == OFFICIAL_PTB:
        return lambda text: official_tokens([text])[0]
    if name == "rouge":
        return rouge_tokens
    split = sacrebleu_metric(name).tokenizer
    return lambda text: str(split(text.lower().rstrip())).split()


def cased_tokens(items: Items, name: str) -> tuple[Tokens, list[Tokens]]:
    """Return tokens as sacrebleu's BLEU counts them, case kept: (of each prediction, per item of each reference).

    Example:
        >>> from panollava.metrics.items import check_items
        >>> cased_tokens(check_items(["A sofa."], ["a"]), "13a")
        ([['A', 'sofa', '.']], [[['a']]])
    """
    flat = [*items.predictions, *(text for group in items.references for text in group)]
    if name == "13a":
        tokens = tokens_13a(flat)
    else:
        split = sacrebleu_metric(name).tokenizer
        tokens = [str(split(text.rstrip())).split() for text in flat]
    rest = iter(tokens[len(items.predictions) :])
    return tokens[: len(items.predictions)], [[next(rest) for _ in group] for group in items.references]


def corpus_tokens(texts: Sequence[str], *, tokenizer: str) -> Tokens:
    """Return the lower-case tokens of each text, all in one pass; errors as ``tokenizer_named``.

    Example:
        >>> corpus_tokens(["Sofa 2", "a.b"], tokenizer="13a")
        [['sofa', '2'], ['a', '.', 'b']]
    """
    if tokenizer == "ptb-py":
        return ptb_lines(texts)
    if tokenizer == OFFICIAL_PTB:
        return official_tokens(texts)
    if tokenizer == "rouge":
        return rouge_corpus(texts)
    if tokenizer == "13a":
        return tokens_13a([text.lower() for text in texts])
    return list(map(tokenizer_named(tokenizer), texts))


class TokenTable:
    """Tokens of all predictions and references, and their n-grams, made once per tokenizer for all metrics."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._tables: dict[str, tuple[Tokens, list[Tokens]]] = {}
        self._ngrams: dict[tuple[str, bool], NgramTable] = {}

    def __call__(self, name: str) -> tuple[Tokens, list[Tokens]]:
        """Return (tokens of each prediction, per item the tokens of each reference)."""
        if name not in self._tables:
            references = self._items.references
            predictions = corpus_tokens(self._items.predictions, tokenizer=name)
            rest = iter(corpus_tokens([text for group in references for text in group], tokenizer=name))
            self._tables[name] = predictions, [[next(rest) for _ in group] for group in references]
        return self._tables[name]

    def ngrams(self, name: str, *, cased: bool = False) -> NgramTable:
        """Return the n-grams of the tokens.

        Args:
            name: the tokenizer.
            cased: as sacrebleu's BLEU counts them, case kept; else lower case, split at any white space, as
                pycocoevalcap does, which breaks "4<no-break>1/2" in two.
        """
        if (name, cased) not in self._ngrams:
            if cased:
                table = NgramTable.of(*cased_tokens(self._items, name))
            else:
                predictions, references = self(name)
                table = NgramTable.of(_words(predictions), [_words(group) for group in references])
            self._ngrams[name, cased] = table
        return self._ngrams[name, cased]


def _words(tokens: Tokens) -> Tokens:
    joined = [" ".join(words) for words in tokens]
    return [words if text.isascii() else text.split() for words, text in zip(tokens, joined, strict=True)]


def unreadable_share(texts: Iterable[str], *, tokens: Iterable[Sequence[str]]) -> float:
    """Return the share of texts that hold letters but lost all of them to the tokenizer, in 0..1.

    Example:
        >>> unreadable_share(["ab", "?!"], tokens=[[], []])
        0.5
    """
    lost = [
        not any(map(str.isalpha, "".join(left))) and any(map(str.isalpha, text))
        for text, left in zip(texts, tokens, strict=True)
    ]
    return sum(lost) / len(lost) if lost else 0.0
