import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics.clip_score import clip_scores, ref_clip_score
from panollava.metrics.sbert import best_cosine


def test_the_weight_of_the_paper_and_no_score_below_zero():
    views = np.array([[3.0, 4.0], [-3.0, 0.0], [0.0, 2.0]])
    assert clip_scores(np.array([5.0, 0.0]), views=views) == pytest.approx([2.5 * 0.6, 0.0, 0.0])


def test_ref_clip_score_is_the_harmonic_mean():
    assert ref_clip_score(1.5, likeness=0.5) == pytest.approx(2 * 1.5 * 0.5 / 2.0)
    assert ref_clip_score(0.0, likeness=0.5) == ref_clip_score(0.5, likeness=0.0) == 0.0


def test_the_best_reference_counts():
    references = np.array([[-1.0, 0.0], [3.0, 4.0]])
    assert best_cosine(np.array([1.0, 0.0]), references=references) == pytest.approx(0.6)
    assert best_cosine(np.array([1.0, 0.0]), references=references[:1]) == -1.0


@pytest.mark.parametrize(
    ("vector", "rows", "message"),
    [
        (np.ones(2), np.ones((1, 3)), "of one model"),
        (np.ones(2), np.ones((0, 2)), "of one model"),
        (np.ones(2), np.ones(2), "of one model"),
        (np.zeros(2), np.ones((1, 2)), "all zeros"),
        (np.ones(2), np.full((1, 2), np.nan), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(vector, rows, message):
    with pytest.raises(MetricError, match=message):
        best_cosine(vector, references=rows)
