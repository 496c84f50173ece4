"""One table of all n-grams of a corpus, n = 1..4, which BLEU and CIDEr read.

Every n-gram is an integer (id of its first n - 1 words, last word). Captions stand item by item, the prediction
before its references, so one sort by (n-gram, caption) brings together everything that is ever compared: equal
n-grams of one caption (their number is the count), of one item (a prediction with its references), and of all items
(document frequency)::

    n-gram   caption (item)    count   partner
    a red    0 prediction (0)  1
    a red    2 reference  (0)  1       the row of caption 0
    a red    7 reference  (1)  2       -1: the prediction of item 1 has it not
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError

ORDER = 4
Ints = NDArray[np.int64]


class Ids(dict[str, int]):
    """Numbers for words, from 0 in the order in which they are first asked for.

    Example:
        >>> Ids().of(["a", "red", "a"]).tolist()
        [0, 1, 0]
    """

    def __missing__(self, word: str) -> int:
        """Give a new word the next number."""
        number = self[word] = len(self)
        return number

    def of(self, words: Sequence[str]) -> Ints:
        """Return the number of each word."""
        return np.fromiter(map(self.__getitem__, words), dtype=np.int64, count=len(words))


def check_groups(predictions: Sequence[object], references: Sequence[Sequence[object]]) -> Ints:
    """Return the number of references of each item.

    Raises:
        MetricError: Unequal lengths, or an item without a reference.

    Example:
        >>> check_groups(["a", "b"], [["a"], ["b", "c"]]).tolist()
        [1, 2]
    """
    if len(predictions) != len(references):
        raise MetricError(
            f"{len(predictions)} predictions but {len(references)} groups of references. Give one group for each."
        )
    sizes = np.fromiter(map(len, references), dtype=np.int64, count=len(references))
    if (sizes == 0).any():
        raise MetricError(f"item {int(np.argmin(sizes)) + 1} has no reference. Give at least one, or leave it out.")
    return sizes


@dataclass(frozen=True, slots=True)
class Captions:
    """All captions as one stream of words, item by item, the prediction before its references."""

    words: Ints  # word id of each token
    owner: Ints  # caption of each token
    length: Ints  # tokens of each caption
    item: Ints  # item of each caption
    predicted: Ints  # the caption that is each item's prediction

    @classmethod
    def of(
        cls,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[Sequence[str]]],
        *,
        ids: Ids | None = None,
    ) -> "Captions":
        """Number the words of tokenised captions.

        Args:
            predictions: tokens of each prediction.
            references: per item one or more token lists.
            ids: numbers of words, to which new words are added; a caller that keeps them can name the words.

        Raises:
            MetricError: Unequal lengths, or an item without a reference.

        Example:
            >>> Captions.of([["a"], ["b", "a"]], [[["a", "a"]], [[]]]).length.tolist()
            [1, 2, 2, 0]
        """
        sizes = 1 + check_groups(predictions, references)
        texts = [text for said, group in zip(predictions, references, strict=True) for text in (said, *group)]
        length = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        return cls(
            words=(Ids() if ids is None else ids).of(list(chain.from_iterable(texts))),
            owner=spread(length)[0],
            length=length,
            item=spread(sizes)[0],
            predicted=np.cumsum(sizes) - sizes,
        )

    @property
    def is_reference(self) -> NDArray[np.bool_]:
        """Whether each caption is a reference."""
        mask = np.ones(len(self.item), dtype=bool)
        mask[self.predicted] = False
        return mask


@dataclass(frozen=True, slots=True)
class Ngrams:
    """All n-grams of one order, a row for each (n-gram, caption), sorted so.

    Attributes:
        gram: the n-gram's number, from 0 without gaps.
        caption: where it stands.
        count: how often.
        partner: of a reference's row, the row of its prediction with the same n-gram, else -1; -1 for predictions.
    """

    gram: Ints
    caption: Ints
    count: Ints
    partner: Ints


@dataclass(frozen=True, slots=True)
class NgramTable:
    """The captions, and their n-grams of order 1 to 4."""

    captions: Captions
    orders: tuple[Ngrams, ...]

    @classmethod
    def of(cls, predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> "NgramTable":
        """Count the n-grams of tokenised captions; errors as ``Captions.of``.

        Example:
            >>> unigrams = NgramTable.of([["a", "b"]], [[["b", "b"]]]).orders[0]
            >>> unigrams.count.tolist(), unigrams.partner.tolist()
            ([1, 1, 2], [-1, -1, 1])
        """
        captions = Captions.of(predictions, references)
        total, vocabulary = len(captions.words), int(captions.words.max(initial=0)) + 1
        room = np.cumsum(captions.length)[captions.owner] - np.arange(total)  # tokens from here to the caption's end
        number = captions.words
        orders = []
        for order in range(1, ORDER + 1):
            places = np.flatnonzero(room >= order)
            key = number[places]
            if order > 1:
                key = key * vocabulary + captions.words[places + order - 1]
            sort, key = sorted_keys(key)
            gram = np.cumsum(changes(key)) - 1
            number = np.zeros(total, dtype=np.int64)
            number[places[sort]] = gram
            orders.append(_rows(captions, gram, captions.owner[places[sort]]))
        return cls(captions, tuple(orders))


def _rows(captions: Captions, gram: Ints, caption: Ints) -> Ngrams:
    """Join tokens sorted by (n-gram, caption) into rows."""
    starts = np.flatnonzero(changes(gram) | changes(caption))
    count = np.diff(starts, append=len(gram))
    gram, caption = gram[starts], caption[starts]
    item = captions.item[caption]
    group = changes(gram) | changes(item)
    leader = np.maximum.accumulate(np.where(group, np.arange(len(gram)), 0))
    said = caption == captions.predicted[item]
    return Ngrams(gram, caption, count, np.where(said[leader] & ~said, leader, -1))


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """Return (i, k) for every k of range(counts[i]), for every i in turn.

    Example:
        >>> [part.tolist() for part in spread(np.array([2, 0, 1]))]
        [[0, 0, 2], [0, 1, 0]]
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def changes(values: Ints) -> NDArray[np.bool_]:
    """Return where a value differs from the one before; the first always does.

    Example:
        >>> changes(np.array([7, 7, 8])).tolist()
        [True, False, True]
    """
    mask = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=mask[1:])
    return mask


def sorted_keys(key: Ints) -> tuple[Ints, Ints]:
    """Return (the stable order that sorts the keys, the keys in it); keys are not negative.

    Where key and position fit into 63 bits together, they are sorted as one number, three times as fast.

    Example:
        >>> [part.tolist() for part in sorted_keys(np.array([5, 3, 5]))]
        [[1, 0, 2], [3, 5, 5]]
    """
    bits = len(key).bit_length()
    if int(key.max(initial=0)).bit_length() + bits > 63:
        order = np.argsort(key, kind="stable")
        return order, key[order]
    both = np.sort(key << bits | np.arange(len(key)))
    return both & (1 << bits) - 1, both >> bits
