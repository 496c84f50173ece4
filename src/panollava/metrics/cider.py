"""CIDEr (Vedantam, Zitnick and Parikh 2015), equal to pycocoevalcap's on the same tokens.

What pycocoevalcap calls CIDEr is CIDEr-D: n-gram counts are clipped to the reference's and each reference
is weighted by a Gaussian of the length difference. ``clip=False, sigma=None`` gives the paper's plain CIDEr.

Habits kept because scores depend on them: the length of a caption is its number of *bigrams*; document
frequencies come from the references under evaluation, so a single item, or items with identical references,
score 0; the value runs to 10, not 1.

One pass over the corpus in NumPy. Every n-gram gets an integer (prefix id, last word), captions become
(caption, n-gram, count) triples, and each reference's triples are joined with those of its prediction by a
sorted key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDER = 4
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Captions:
    """All captions as one stream of words; the first ``items`` captions are the predictions."""

    words: Ints  # word id of each token
    owner: Ints  # caption of each token
    item: Ints  # item of each caption
    items: int
    references: Ints  # references per item

    @property
    def count(self) -> int:
        return len(self.item)


def cider(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    clip: bool = True,
    sigma: float | None = 6.0,
) -> Floats:
    """Return CIDEr of each item, in 0..10; the corpus score is the mean.

    Args:
        predictions: tokens of each prediction.
        references: per item one or more token lists.
        clip: clip a prediction's weights to the reference's (CIDEr-D, pycocoevalcap).
        sigma: width of the Gaussian length penalty in tokens, None for no penalty.

    Example:
        >>> tokens = [["a", "red", "chair"], ["a", "blue", "lamp"]]
        >>> cider(tokens, [[tokens[0]], [tokens[1]]]).round(6).tolist()
        [7.5, 7.5]
    """
    captions = _stream(predictions, references)
    items = captions.items
    total = np.zeros(captions.count - items)
    ngram = captions.words
    starts = np.flatnonzero(np.diff(captions.owner, prepend=-1))
    length = np.bincount(captions.owner, minlength=captions.count)
    offset = np.arange(len(ngram)) - np.repeat(starts, length[captions.owner[starts]])
    room = length[captions.owner] - offset  # tokens from here to the end of the caption
    vocabulary = int(captions.words.max(initial=0)) + 1
    for order in range(1, ORDER + 1):
        valid = room >= order
        if order > 1:
            last = np.roll(captions.words, -(order - 1))
            ngram = np.where(valid, ngram * vocabulary + last, 0)
        ngram = _renumber(ngram)
        total += _similarity(captions, np.flatnonzero(valid), ngram, clip=clip)
    if sigma is not None:
        bigrams = np.maximum(length - 1, 0).astype(np.float64)
        delta = bigrams[captions.item[items:]] - bigrams[items:]
        total *= np.e ** (-(delta**2) / (2 * sigma**2))
    per_item = np.bincount(captions.item[items:], weights=total / ORDER, minlength=items)
    return per_item / captions.references * 10.0


def _stream(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> _Captions:
    texts = [*predictions, *(reference for group in references for reference in group)]
    ids: dict[str, int] = {}
    words = np.array([ids.setdefault(word, len(ids)) for text in texts for word in text], dtype=np.int64)
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = np.array([len(group) for group in references], dtype=np.int64)
    items = np.arange(len(predictions))
    return _Captions(words, owner, np.concatenate([items, np.repeat(items, counts)]), len(items), counts)


def _renumber(values: Ints) -> Ints:
    """Return dense ids, so that (prefix id) * vocabulary + word stays far below 2**63."""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _similarity(captions: _Captions, tokens: Ints, ngram: Ints, *, clip: bool) -> Floats:
    """Return the TF-IDF cosine of every reference with its prediction, for n-grams of one order."""
    items = captions.items
    size = int(ngram.max(initial=0)) + 1
    key, count = np.unique(captions.owner[tokens] * size + ngram[tokens], return_counts=True)
    caption, gram = np.divmod(key, size)
    owner = captions.item[caption]
    is_reference = caption >= items

    seen = np.unique(owner[is_reference] * size + gram[is_reference]) % size
    frequency = np.bincount(seen, minlength=size)
    idf = np.log(float(items)) - np.log(np.maximum(1.0, frequency))
    weight = count * idf[gram]
    norm = np.sqrt(np.bincount(caption, weights=weight**2, minlength=captions.count))

    predicted = int(np.searchsorted(caption, items))  # captions are sorted: the predictions come first
    if not predicted:
        return np.zeros(captions.count - items)
    wanted = owner[predicted:] * size + gram[predicted:]
    place = np.minimum(np.searchsorted(key[:predicted], wanted), predicted - 1)
    common = np.flatnonzero(key[:predicted][place] == wanted)
    ours, theirs = weight[place[common]], weight[predicted:][common]
    product = (np.minimum(ours, theirs) if clip else ours) * theirs
    reference = caption[predicted:][common] - items
    dot = np.bincount(reference, weights=product, minlength=captions.count - items)
    scale = norm[captions.item[items:]] * norm[items:]
    return np.divide(dot, scale, out=np.zeros(len(scale)), where=scale != 0)
