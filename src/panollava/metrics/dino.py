"""DINO similarity: cosine of the visual features of two renderings, view by view.

The features are computed elsewhere, without a centre crop (which would cut an equirectangular image); this
file holds only the score, so that it needs no deep-learning framework.
"""

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError


def dino_similarity(features: NDArray[np.floating], *, reference: NDArray[np.floating]) -> float:
    """Return the mean over views of the cosine between two features, in -1..1.

    Args:
        features: (views, width), one feature per view.
        reference: (views, width), the same views of the other image.

    Raises:
        MetricError: The shapes differ or are not (views, width), or a feature has length 0 or is not finite.

    Example:
        >>> dino_similarity(np.eye(2), reference=np.array([[1.0, 0.0], [1.0, 0.0]]))
        0.5
    """
    if features.ndim != 2 or features.shape != reference.shape or not features.size:
        raise MetricError(
            f"features of shape {features.shape} and {reference.shape}: both must be (views, width),"
            " with the same views. Render both images with the same layout."
        )
    ours, theirs = features.astype(np.float64), reference.astype(np.float64)
    scale = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    if not (np.isfinite(scale).all() and scale.all()):
        raise MetricError("a feature is all zeros or not finite, so it has no direction. Check the encoder's output.")
    return float(np.mean(np.sum(ours * theirs, axis=1) / scale))
