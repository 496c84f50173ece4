"""CLIPScore and RefCLIPScore (Hessel et al. 2021), the formulas; embeddings are computed elsewhere.

::

    CLIPScore(c, v)       = 2.5 max(cos(c, v), 0)                                  equation 1
    RefCLIPScore(c, R, v) = harmonic mean of CLIPScore(c, v) and max(max_r cos(c, r), 0)

c: embedding of the caption behind the words "A photo depicts"; v: of a picture; R: of the references. A panorama has
several pictures, its views; each has a score, and the mean and the largest of them are reported under names of their
own. Both are this project's extension: the published scores are of one flat picture.
"""

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.sbert import cosines

WEIGHT = 2.5
PROMPT = "A photo depicts "


def clip_scores(caption: NDArray[np.floating], *, views: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the CLIPScore of a caption with each view, in 0..2.5.

    Args:
        caption: (width,).
        views: (views, width).

    Raises:
        MetricError: The shapes do not fit, or an embedding has no direction.

    Example:
        >>> clip_scores(np.array([1.0, 0.0]), views=np.array([[2.0, 0.0], [-1.0, 0.0]])).tolist()
        [2.5, 0.0]
    """
    return np.asarray(WEIGHT * np.maximum(cosines(caption, views), 0.0))


def ref_clip_score(clip_score: float, *, likeness: float) -> float:
    """Return the harmonic mean of a CLIPScore and the best cosine with a reference; 0 where either is not above 0.

    Args:
        clip_score: of the caption and its picture.
        likeness: the largest cosine of the caption with a reference.

    Example:
        >>> ref_clip_score(1.0, likeness=0.5), ref_clip_score(1.0, likeness=-0.1)
        (0.6666666666666666, 0.0)
    """
    if min(clip_score, likeness) <= 0.0:
        return 0.0
    return 2.0 / (1.0 / clip_score + 1.0 / likeness)
