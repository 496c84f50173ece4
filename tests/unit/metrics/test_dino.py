import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics.dino import dino_similarity


def test_mean_cosine_over_views_ignores_length():
    ours = np.array([[2.0, 0.0], [0.0, 3.0]])
    assert dino_similarity(ours, reference=np.array([[1.0, 0.0], [1.0, 0.0]])) == 0.5


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(np.ones((2, 3)), np.ones((3, 3))), (np.ones(3), np.ones(3)), (np.zeros((1, 2)), np.ones((1, 2)))],
)
def test_features_that_cannot_be_compared_are_refused(ours, theirs):
    with pytest.raises(MetricError):
        dino_similarity(ours, reference=theirs)
