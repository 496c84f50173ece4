"""ROUGE-L (Lin 2004): F-measure of the longest common subsequence of words. Two official forms.

``rouge_l``
    The ``rouge-score`` package: lower-cased runs of a-z and 0-9, F1, the best reference counts. Its stemming is
    off unless asked for; it stems words of more than three letters.
``coco_rouge_l``
    pycocoevalcap: beta 1.2; the best precision and the best recall are taken over the references separately;
    a text is split at single spaces, so an empty text is one empty token.

``rouge-score``'s tokenizer drops every letter outside a-z: a Korean text has no tokens and scores 0. The
suite therefore reports the metric as missing for such references unless another tokenizer is chosen.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.porter import stem

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
# of ASCII bytes: all but a-z, 0-9 and the end of a line become a space
_SPACED = bytes(code if chr(code) in "abcdefghijklmnopqrstuvwxyz0123456789\n" else 32 for code in range(256))
COCO_BETA = 1.2


def rouge_tokens(text: str) -> list[str]:
    """Split as ``rouge-score`` does by default.

    Example:
        >>> rouge_tokens("It's a 2-seat Sofa.")
        ['it', 's', 'a', '2', 'seat', 'sofa']
    """
    return _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()


def rouge_corpus(texts: Sequence[str]) -> list[list[str]]:
    """Return ``rouge_tokens`` of each text, made for all at once.

    Example:
        >>> rouge_corpus(["Two chairs, standing.", "It's"])
        [['two', 'chairs', 'standing'], ['it', 's']]
    """
    if not texts:
        return []
    lines = "\n".join([text.replace("\n", " ") for text in texts]).lower()
    plain = lines.encode("ascii", "replace").translate(_SPACED).decode("ascii")
    return [line.split() for line in plain.split("\n")]


def stemmed(tokens: Sequence[Sequence[str]]) -> list[list[str]]:
    """Replace words of more than three letters by their stems, as ``rouge-score`` does with ``use_stemmer=True``.

    Example:
        >>> stemmed([["two", "chairs", "standing"]])
        [['two', 'chair', 'stand']]
    """
    stems = {word: stem(word) if len(word) > 3 else word for word in set().union(*tokens)}
    return [[stems[word] for word in words] for words in tokens]


def rouge_l(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> NDArray[np.float64]:
    """Return ROUGE-L F1 of each item, the best over its references; the corpus score is the mean.

    Args:
        predictions: tokens of each prediction, such as ``rouge_tokens`` gives.
        references: per item one or more token lists.

    Example:
        >>> rouge_l([["a", "red", "chair"]], [[["a", "chair"]]]).tolist()
        [0.8]
    """
    return np.array([max(_f1(p, group)) for p, group in zip(predictions, references, strict=True)], dtype=np.float64)


def _f1(prediction: Sequence[str], group: Sequence[Sequence[str]]) -> list[float]:
    scores = []
    for reference, common in zip(group, lcs_lengths(prediction, group), strict=True):
        if common == 0:
            scores.append(0.0)
            continue
        precision, recall = common / len(prediction), common / len(reference)
        scores.append(2 * precision * recall / (precision + recall))
    return scores


def coco_rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return pycocoevalcap's ROUGE-L of each item; the corpus score is the mean.

    Args:
        predictions: tokenised texts, tokens joined by single spaces.
        references: per item one or more tokenised texts.

    Example:
        >>> coco_rouge_l(["a red chair"], [["a chair"]]).round(6).tolist()
        [0.829932]
    """
    scores = []
    for prediction, group in zip(predictions, references, strict=True):
        ours, theirs = prediction.split(" "), [reference.split(" ") for reference in group]
        common = lcs_lengths(ours, theirs)
        precision = max(c / float(len(ours)) for c in common)
        recall = max(c / float(len(r)) for c, r in zip(common, theirs, strict=True))
        if precision == 0 or recall == 0:
            scores.append(0.0)
        else:
            weight = COCO_BETA**2
            scores.append(((1 + weight) * precision * recall) / float(recall + weight * precision))
    return np.array(scores, dtype=np.float64)


def lcs_lengths(first: Sequence[str], others: Iterable[Sequence[str]]) -> list[int]:
    """Return the length of the longest common subsequence of ``first`` with each of the others.

    Bit-parallel (Hyyro 2004): bit i of ``row`` is 0 where the dynamic programme's column steps up at i.

    Example:
        >>> lcs_lengths("a b c d".split(), ["a c d".split(), "x".split()])
        [3, 0]
    """
    positions: dict[str, int] = {}
    for i, word in enumerate(first):
        positions[word] = positions.get(word, 0) | (1 << i)
    everything = (1 << len(first)) - 1
    lengths = []
    for other in others:
        row = everything
        for places in filter(None, map(positions.get, other)):  # a word that `first` lacks changes nothing
            hit = row & places
            row = (row + hit) | (row - hit)
        lengths.append(len(first) - (row & everything).bit_count())
    return lengths
