from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.geometry import ViewSpec, e2p_ring
from panollava.geometry.antialias import halvings, least_width, minification, polar_bands, polar_rows, supersampling
from panollava.geometry.pyramid import average_polar_rows


def look(size_px, hfov_deg=90.0):
    return ViewSpec.perspective("v", yaw_deg=0, hfov_deg=hfov_deg, height_px=size_px, width_px=size_px)


@given(width=st.integers(64, 16384), size_px=st.integers(8, 512))
def test_quality_halves_to_between_two_and_four(width, size_px):
    view = look(size_px)
    rho = minification(view, height=width // 2, width=width)
    count = halvings(view, height=width // 2, width=width, antialias="quality")
    assert rho / 2**count <= 4.0
    assert count == 0 or rho / 2**count > 2.0


def test_quality_takes_four_taps_only_where_a_view_shrinks():
    assert supersampling(look(100), height=512, width=1024, antialias="quality") == 2
    assert supersampling(look(400), height=512, width=1024, antialias="quality") == 1
    assert supersampling(look(100), height=512, width=1024, antialias="fast") == 1


@given(size_px=st.integers(8, 512), hfov_deg=st.floats(20, 140), antialias=st.sampled_from(["fast", "quality"]))
def test_from_the_least_width_on_nothing_better_is_rendered(size_px, hfov_deg, antialias):
    """A decoder may halve while the width stays at or above it; the renderer would have halved as often."""
    view = look(size_px, hfov_deg)
    least = least_width([view], antialias=antialias)
    width = 2 * least
    assert halvings(view, height=width // 2, width=width, antialias=antialias) >= 1
    below = 2 * (least - 2)
    assert halvings(view, height=below // 2, width=below, antialias=antialias) == 0


def test_the_least_width_suits_the_most_demanding_view():
    ring, whole = e2p_ring(size_px=336, global_size_px=(96, 192)), e2p_ring(size_px=336, global_size_px=(2000, 4000))
    assert least_width(ring.views, antialias="fast") == 1584
    assert least_width(whole.views, antialias="fast") == 6001
    assert least_width(ring.views, antialias="none") is None


@pytest.mark.parametrize("height", [16, 64, 511, 2048])
def test_bands_reach_from_the_pole_to_pitch_sixty_without_a_gap(height):
    bands = polar_bands(height, limit=2 * height)
    assert bands[0][0] == 0
    assert all(a[1] == b[0] and a[2] > b[2] and a[2] % 2 == 1 for a, b in pairwise(bands))
    assert abs(bands[-1][1] - polar_rows(height)) <= 1
    for first, last, width in bands[1:]:
        stretch = 1 / np.sin(np.pi * (np.array([first, last - 1]) + 0.5) / height)
        assert np.all(np.abs(np.log2(width / stretch)) < 0.6)


def test_averaged_rows_are_circular_means_of_their_band(noise_erp):
    erp = noise_erp(64, 128).astype(np.float32)
    out = average_polar_rows(erp)
    for first, last, width in polar_bands(64, limit=128):
        for row in (first, last - 1, 64 - last, 63 - first):
            mean = np.mean([np.roll(erp[row], k, axis=0) for k in range(-(width // 2), width // 2 + 1)], axis=0)
            np.testing.assert_allclose(out[row], mean, atol=1e-3)
    rows = polar_rows(64)
    np.testing.assert_array_equal(out[rows + 1 : 63 - rows], erp[rows + 1 : 63 - rows])
