"""CIDEr (Vedantam, Zitnick and Parikh 2015), equal to pycocoevalcap's on the same tokens.

What pycocoevalcap calls CIDEr is CIDEr-D: n-gram counts are clipped to the reference's and each reference
is weighted by a Gaussian of the length difference. ``clip=False, sigma=None`` gives the paper's plain CIDEr.

Habits kept because scores depend on them: the length of a caption is its number of *bigrams*; document
frequencies come from the references under evaluation, so a single item, or items with identical references,
score 0; the value runs to 10, not 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.ngrams import ORDER, Captions, Ngrams, NgramTable, changes

Floats = NDArray[np.float64]


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

    Raises:
        MetricError: Unequal lengths, or an item without a reference.

    Example:
        >>> tokens = [["a", "red", "chair"], ["a", "blue", "lamp"]]
        >>> cider(tokens, [[tokens[0]], [tokens[1]]]).round(6).tolist()
        [7.5, 7.5]
    """
    return cider_of(NgramTable.of(predictions, references), clip=clip, sigma=sigma)


def cider_of(table: NgramTable, *, clip: bool = True, sigma: float | None = 6.0) -> Floats:
    """Return CIDEr of each item from n-grams that are counted already; else as ``cider``.

    Example:
        >>> cider_of(NgramTable.of([["a"], ["b"]], [[["a"]], [["c"]]])).tolist()
        [2.5, 0.0]
    """
    captions = table.captions
    total = np.zeros(len(captions.item))
    for ngrams in table.orders:
        total += _similarity(captions, ngrams, clip=clip)
    if sigma is not None:
        bigrams = np.maximum(captions.length - 1, 0).astype(np.float64)
        delta = bigrams[captions.predicted][captions.item] - bigrams
        total *= np.e ** (-(delta**2) / (2 * sigma**2))
    items = len(captions.predicted)
    references = np.bincount(captions.item, minlength=items) - 1
    return np.bincount(captions.item, weights=total / ORDER, minlength=items) / references * 10.0


def _similarity(captions: Captions, ngrams: Ngrams, *, clip: bool) -> Floats:
    """Return the TF-IDF cosine of every reference with its prediction, for n-grams of one order; predictions 0."""
    count = len(captions.item)
    reference = captions.is_reference[ngrams.caption]
    # the rows of references, sorted by n-gram and item: a document is an item
    gram = ngrams.gram[reference]
    document = changes(gram) | changes(captions.item[ngrams.caption[reference]])
    frequency = np.bincount(gram[document], minlength=int(ngrams.gram.max(initial=-1)) + 1)
    idf = np.log(float(len(captions.predicted))) - np.log(np.maximum(1.0, frequency))
    weight = ngrams.count * idf[ngrams.gram]
    norm = np.sqrt(np.bincount(ngrams.caption, weights=weight**2, minlength=count))

    common = np.flatnonzero(ngrams.partner >= 0)
    ours, theirs = weight[ngrams.partner[common]], weight[common]
    product = (np.minimum(ours, theirs) if clip else ours) * theirs
    dot = np.bincount(ngrams.caption[common], weights=product, minlength=count)
    scale = norm[captions.predicted][captions.item] * norm
    return np.divide(dot, scale, out=np.zeros(count), where=scale != 0)
