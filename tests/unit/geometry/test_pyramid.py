import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.geometry import e2p_ring, render_views
from panollava.geometry.pyramid import ErpPyramid

ROWS = st.tuples(st.integers(-1, 8), st.integers(0, 9)).filter(lambda rows: rows[0] < rows[1])


@given(st.lists(st.tuples(st.integers(0, 3), ROWS), min_size=1, max_size=6), st.sampled_from([(64, 128), (60, 100)]))
def test_rows_asked_for_are_those_of_the_whole(asked, shape):
    erp = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole, parts = ErpPyramid(erp), ErpPyramid(erp)
    for count, (first, last) in asked:
        read = slice(max(first, 0), max(last, 1))  # row -1 is row 0, seen half a turn away
        np.testing.assert_array_equal(parts.level(count, rows=(first, last))[read], whole.level(count)[read])


@pytest.mark.parametrize("shape", [(64, 128, 3), (63, 127, 3), (64, 128, 1)])
def test_a_level_is_the_area_average(shape):
    erp = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    pyramid = ErpPyramid(erp)
    half = cv2.resize(erp, ((shape[1] + 1) // 2, (shape[0] + 1) // 2), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pyramid.level(1), half.reshape(pyramid.level(1).shape))
    assert pyramid.size(2) == pyramid.level(2).shape[:2]


def test_a_level_ring_leaves_the_polar_rows_alone(monkeypatch):
    """A level ring of 90 degrees sees half of the rows; only they may be averaged."""
    seen = []
    resize = cv2.resize
    monkeypatch.setattr(
        cv2, "resize", lambda source, *a, **k: (seen.append(source.shape[0]), resize(source, *a, **k))[1]
    )
    render_views(np.zeros((512, 1024, 3), np.uint8), e2p_ring(size_px=64, global_size_px=None))
    assert 256 <= sum(seen) <= 270
