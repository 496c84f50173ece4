"""Sentence similarity (Reimers and Gurevych 2019): the cosine of two sentence embeddings.

The embeddings are computed elsewhere; this file holds only the score, so that it needs no deep-learning framework.
Its name is ``sbert_similarity``; it says little about facts and is not a stand-in for any other metric.
"""

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError


def best_cosine(embedding: NDArray[np.floating], *, references: NDArray[np.floating]) -> float:
    """Return the largest cosine between an embedding and those of the references, in -1..1.

    Args:
        embedding: (width,).
        references: (references, width).

    Raises:
        MetricError: The shapes do not fit, or an embedding has length 0 or is not finite.

    Example:
        >>> best_cosine(np.array([2.0, 0.0]), references=np.array([[0.0, 1.0], [3.0, 0.0]]))
        1.0
    """
    return float(np.max(cosines(embedding, references)))


def cosines(vector: NDArray[np.floating], rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine of a vector with each row; errors as ``best_cosine``.

    Args:
        vector: (width,).
        rows: (n, width).

    Example:
        >>> cosines(np.array([1.0, 0.0]), np.array([[5.0, 0.0], [0.0, 1.0]])).tolist()
        [1.0, 0.0]
    """
    if vector.ndim != 1 or rows.ndim != 2 or rows.shape[1:] != vector.shape or not len(rows):
        raise MetricError(
            f"embeddings of shape {vector.shape} and {rows.shape}: give (width,) and (n, width) of one model."
        )
    one, many = vector.astype(np.float64), rows.astype(np.float64)
    scale = np.linalg.norm(many, axis=1) * np.linalg.norm(one)
    if not (np.isfinite(scale).all() and scale.all()):
        raise MetricError("an embedding is all zeros or not finite, so it has no direction. Check the model's output.")
    return np.asarray(many @ one / scale)
