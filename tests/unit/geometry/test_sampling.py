import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.geometry import ViewSpec, e2p_ring
from panollava.geometry.antialias import halvings, minification
from panollava.geometry.boxes import box_taps, uses_box, window_edges
from panollava.geometry.cache import ByteCache
from panollava.geometry.erp_pixels import Window
from panollava.geometry.sampling import enclosing_window, split_yaw, view_pixels


def look(yaw_deg=0.0, pitch_deg=0.0, hfov_deg=90.0, size_px=33):
    return ViewSpec.perspective(
        "v", yaw_deg=yaw_deg, pitch_deg=pitch_deg, hfov_deg=hfov_deg, height_px=size_px, width_px=size_px
    )


@given(hfov_deg=st.floats(20, 120), size_px=st.integers(21, 99).map(lambda n: n | 1))
def test_minification_is_the_step_between_central_pixels(hfov_deg, size_px):
    view = look(hfov_deg=hfov_deg, size_px=size_px)
    u, _ = view_pixels(view, height=1024, width=2048)
    step = (u[0, size_px // 2 + 1] - u[0, size_px // 2 - 1]) / 2
    assert minification(view, height=1024, width=2048) == pytest.approx(step, rel=0.03)


@given(width=st.integers(64, 16384), size_px=st.integers(8, 512))
def test_halving_ends_between_one_and_a_half_and_three(width, size_px):
    view = look(size_px=size_px)
    rho = minification(view, height=width // 2, width=width)
    count = halvings(view, height=width // 2, width=width, antialias="fast")
    assert count >= 0
    assert rho / 2**count < 3.0
    assert count == 0 or rho / 2**count >= 1.5


def test_minification_takes_the_axis_with_fewer_pixels():
    assert minification(ViewSpec.window("g", height_px=32, width_px=32), height=64, width=128) == 2.0
    assert minification(look(), height=256, width=2048) == pytest.approx(
        minification(look(), height=1024, width=2048) / 4
    )


def test_only_shrunk_windows_take_the_box():
    assert uses_box(ViewSpec.window("g", height_px=32, width_px=64), height=64, width=128)
    assert not uses_box(ViewSpec.window("g", height_px=65, width_px=64), height=64, width=128)
    assert not uses_box(look(), height=1024, width=2048)


@given(yaw_deg=st.floats(-180, 179.9), width=st.integers(8, 999))
def test_split_yaw_leaves_less_than_a_column(yaw_deg, width):
    view, shift = split_yaw(look(yaw_deg), width)
    assert abs(view.yaw_deg) <= 180.0 / width * (1 + 1e-9)
    assert view.yaw_deg + shift * 360.0 / width == pytest.approx(look(yaw_deg).yaw_deg, abs=1e-6)


def test_a_ring_shares_one_map_when_the_width_allows():
    views = e2p_ring(global_size_px=None).views
    assert len({split_yaw(view, 1024)[0] for view in views}) == 1
    assert len({split_yaw(view, 1023)[0] for view in views}) > 1


@pytest.mark.parametrize("pitch_deg", [0, 40, 90, -90])
def test_the_window_holds_all_four_neighbours(pitch_deg):
    u, v = view_pixels(look(pitch_deg=pitch_deg), height=64, width=128)
    window = enclosing_window(u, v)
    for place, first, count in ((u, window.col0, window.cols), (v, window.row0, window.rows)):
        assert np.floor(place).min() == first
        assert np.floor(place).max() + 1 == first + count - 1
    assert window.inside(64, 128) == (abs(pitch_deg) < 45)  # 45 and above holds the pole
    assert Window(-1, 66, -1, 130).inside(64, 128) is False


def test_window_edges_are_in_pixel_edges():
    view = ViewSpec.window("w", yaw_deg=180, pitch_deg=45, hfov_deg=90, vfov_deg=90, height_px=4, width_px=4)
    assert window_edges(view, height=64, width=128) == (0, 32, -16, 16)


@given(start=st.floats(-5, 5), length=st.floats(0.5, 40), count=st.integers(1, 9))
def test_boxes_average_a_straight_line_exactly(start, length, count):
    """The mean of pixel values c over [a, b) is the integral of a staircase."""
    pixels, weights = box_taps(start, start + length, count)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    fine = 4000
    edges = start + length * np.arange(count + 1) / count
    for i in range(count):
        at = edges[i] + (edges[i + 1] - edges[i]) * (np.arange(fine) + 0.5) / fine
        assert (pixels[:, i] * weights[:, i]).sum() == pytest.approx(np.floor(at).mean(), abs=2e-3)


def test_whole_boxes_weigh_their_pixels_equally():
    pixels, weights = box_taps(2.0, 8.0, 2)
    assert pixels.T.tolist() == [[2, 3, 4], [5, 6, 7]]
    np.testing.assert_allclose(weights, 1 / 3)


def test_cache_forgets_the_least_recently_used_beyond_its_bytes():
    cache: ByteCache[str] = ByteCache(limit_bytes=10)
    for key in "ab":
        cache.get(key, build=lambda key=key: (key, 4))
    cache.get("a", build=lambda: pytest.fail("a is kept"))
    cache.get("c", build=lambda: ("c", 4))  # b goes, a was used later
    assert cache.bytes == 8
    cache.get("a", build=lambda: pytest.fail("a is kept"))
    assert cache.get("b", build=lambda: ("again", 4)) == "again"
    assert cache.builds == 4


def test_cache_returns_but_does_not_keep_what_is_too_large():
    cache: ByteCache[str] = ByteCache(limit_bytes=10)
    cache.get("small", build=lambda: ("small", 10))
    assert cache.get("large", build=lambda: ("large", 11)) == "large"
    assert cache.bytes == 10
    cache.clear()
    assert cache.bytes == 0
