"""Tokenizers by name, the names that signatures use.

``ptb-py``   Penn Treebank as in COCO caption evaluation, lower case (``ptb.py``)
``rouge``    runs of a-z and 0-9, lower case (``rouge.py``)
others       sacrebleu's (13a, intl, char, zh, ko-mecab, ja-mecab, none), lower case except for BLEU-4 itself
"""

from collections.abc import Callable, Iterable, Sequence

from panollava.metrics.bleu import sacrebleu_metric
from panollava.metrics.items import Items
from panollava.metrics.ptb import ptb_tokens
from panollava.metrics.rouge import rouge_tokens
from panollava.metrics.tokens_13a import tokens_13a

Tokens = list[list[str]]


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


class TokenTable:
    """Tokens of all predictions and references, made once per tokenizer and shared by the metrics."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._tables: dict[str, tuple[Tokens, list[Tokens]]] = {}

    def __call__(self, name: str) -> tuple[Tokens, list[Tokens]]:
        """Return (tokens of each prediction, per item the tokens of each reference)."""
        if name not in self._tables:
            split = tokenizer_named(name)
            predictions = [split(text) for text in self._items.predictions]
            references = [[split(text) for text in group] for group in self._items.references]
            self._tables[name] = predictions, references
        return self._tables[name]


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
