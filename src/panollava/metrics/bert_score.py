"""BERTScore (Zhang et al. 2020), the formula of the package bert-score; embeddings are computed elsewhere.

Every token of one text is matched with the token of the other whose contextual embedding is nearest::

    precision = sum_i w_i max_j cos(c_i, r_j) / sum_i w_i    over the candidate's tokens     equation 1 and section 3
    recall    = sum_j w_j max_i cos(c_i, r_j) / sum_j w_j    over the reference's
    F         = 2 precision recall / (precision + recall)

With idf off the weights are 1, but 0 for the tokens that open and close a text; these may still be matched. With idf
on, a token that d of N references hold weighs log((N + 1) / (d + 1)). No baseline is subtracted. Of several
references the best F counts.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """The tokens of one text.

    Attributes:
        ids: their numbers in the vocabulary, special tokens included.
        vectors: (tokens, width), their contextual embeddings.
    """

    ids: tuple[int, ...]
    vectors: NDArray[np.floating]


def bert_score(
    candidate: TextEmbedding, *, reference: TextEmbedding, weights: Mapping[int, float]
) -> tuple[float, float, float]:
    """Return precision, recall and F of two texts.

    Args:
        candidate: the prediction.
        reference: one reference.
        weights: by token id, as ``flat_weights`` or ``idf_weights`` returns.

    Raises:
        MetricError: The embeddings are of different models, or no token has a weight.

    Example:
        >>> text = TextEmbedding((1, 2), np.eye(2))
        >>> bert_score(text, reference=text, weights=flat_weights([]))
        (1.0, 1.0, 1.0)
    """
    ours, theirs = _unit(candidate), _unit(reference)
    if ours.shape[1] != theirs.shape[1]:
        raise MetricError(f"token embeddings of widths {ours.shape[1]} and {theirs.shape[1]}: use one model for both.")
    likeness = ours @ theirs.T
    precision = _weighted(likeness.max(axis=1), candidate.ids, weights)
    recall = _weighted(likeness.max(axis=0), reference.ids, weights)
    total = precision + recall
    return precision, recall, 2.0 * precision * recall / total if total else 0.0


def flat_weights(special_ids: Sequence[int]) -> Mapping[int, float]:
    """Return weights of 1, and 0 for the tokens that open and close a text.

    Example:
        >>> weights = flat_weights([101])
        >>> weights[101], weights[7]
        (0.0, 1.0)
    """
    return defaultdict(lambda: 1.0, dict.fromkeys(special_ids, 0.0))


def idf_weights(references: Sequence[Sequence[int]]) -> Mapping[int, float]:
    """Return inverse document frequencies over the references, each a list of token ids.

    Example:
        >>> weights = idf_weights([[1, 2], [1, 3]])
        >>> weights[1], round(weights[2], 6), round(weights[9], 6)
        (0.0, 0.405465, 1.098612)
    """
    held = Counter(token for ids in references for token in set(ids))
    count = len(references)
    known = {token: math.log((count + 1) / (found + 1)) for token, found in held.items()}
    return defaultdict(lambda: math.log(count + 1), known)


def _unit(text: TextEmbedding) -> NDArray[np.float64]:
    vectors = np.asarray(text.vectors, dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(text.ids) or not len(vectors):
        raise MetricError(f"{len(text.ids)} tokens with embeddings of shape {vectors.shape}: give one row per token.")
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and length.all()):
        raise MetricError("a token's embedding is all zeros or not finite. Check the model's output.")
    return vectors / length


def _weighted(values: NDArray[np.float64], ids: Sequence[int], weights: Mapping[int, float]) -> float:
    scale = np.array([weights[token] for token in ids])
    if not scale.sum() > 0:
        raise MetricError("no token of a text has a weight above 0. With idf, give more than one reference in all.")
    return float(values @ scale / scale.sum())
