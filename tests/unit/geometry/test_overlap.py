import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import (
    ViewSpec,
    e2p_ring,
    great_circle_deg,
    rotation,
    share_rays,
    token_correspondences,
)


def look(yaw_deg, pitch_deg=0.0, roll_deg=0.0, hfov_deg=90.0, height_px=16, width_px=16):
    return ViewSpec.perspective(
        f"{yaw_deg},{pitch_deg}",
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        roll_deg=roll_deg,
        hfov_deg=hfov_deg,
        height_px=height_px,
        width_px=width_px,
    )


WINDOW = ViewSpec.window("w", yaw_deg=170, pitch_deg=5, hfov_deg=100, vfov_deg=80, height_px=8, width_px=8)
GLOBAL = ViewSpec.window("global", height_px=8, width_px=16)
PAIRS = {
    "ring": (look(0), look(45)),
    "seam": (look(180), look(-135)),
    "tilted": (look(170, 30, 20), look(-150, -10, -35, hfov_deg=70)),
    "pole": (look(0, 80), look(120, 70)),
    "perspective to window": (look(180, 10), WINDOW),
    "window to perspective": (WINDOW, look(-160, 0, 10)),
    "perspective to global": (look(180), GLOBAL),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_correspondence_is_the_nearest_ray(pair):
    """Nearest of 400 x 400 rays of B, found by brute force, lies where the correspondence says."""
    a, b = pair
    rows, cols, fine = 5, 7, 400
    xy, visible = token_correspondences(a, b, rows=rows, cols=cols)
    assert visible.any()
    rays_a, rays_b = a.rays(rows, cols).reshape(-1, 3), b.rays(fine, fine).reshape(-1, 3)
    nearest = np.argmax(rays_a @ rays_b.T, axis=1)
    apart = great_circle_deg(rays_a, rays_b[nearest])
    spacing = max(b.hfov_deg, b.vfov_deg) / fine * 2
    np.testing.assert_array_equal(visible[apart > spacing], False)
    inside = visible & (nearest % fine > 0) & (nearest % fine < fine - 1)
    inside &= (nearest // fine > 0) & (nearest // fine < fine - 1)
    places = np.stack([(nearest % fine + 0.5) / fine * cols - 0.5, (nearest // fine + 0.5) / fine * rows - 0.5], -1)
    assert inside.any()
    assert np.abs(places - xy)[inside].max() <= 0.51 * max(rows, cols) / fine * 1.5


def test_every_ray_found_within_the_view_is_marked_visible():
    a, b = PAIRS["ring"]
    xy, visible = token_correspondences(a, b, rows=16, cols=16)
    close = (a.rays(16, 16).reshape(-1, 3) @ b.rays(200, 200).reshape(-1, 3).T).max(axis=1)
    np.testing.assert_array_equal(visible, np.rad2deg(np.arccos(np.minimum(close, 1))) < 0.4)
    assert np.isnan(xy[~visible]).all() and np.isfinite(xy[visible]).all()


def test_two_pinhole_views_are_related_by_their_homography():
    a, b = PAIRS["tilted"]
    rows, cols = 6, 9

    def intrinsics(view):
        fx = cols / (2 * np.tan(np.deg2rad(view.hfov_deg) / 2))
        fy = rows / (2 * np.tan(np.deg2rad(view.vfov_deg) / 2))
        return np.array([[fx, 0, cols / 2 - 0.5], [0, fy, rows / 2 - 0.5], [0, 0, 1]])

    def attitude(view):
        return rotation(view.yaw_deg, view.pitch_deg, view.roll_deg)

    H = intrinsics(b) @ attitude(b).T @ attitude(a) @ np.linalg.inv(intrinsics(a))
    grid = np.stack([*np.meshgrid(np.arange(cols), np.arange(rows)), np.ones((rows, cols))], -1).reshape(-1, 3)
    mapped = grid @ H.T
    xy, visible = token_correspondences(a, b, rows=rows, cols=cols)
    assert visible.any()
    np.testing.assert_allclose(xy[visible], (mapped[:, :2] / mapped[:, 2:])[visible], atol=1e-9)


def test_a_view_corresponds_to_itself():
    xy, visible = token_correspondences(look(30, 20, 10), look(30, 20, 10), rows=3, cols=4)
    expected = np.stack(np.meshgrid(np.arange(4), np.arange(3)), -1).reshape(-1, 2)
    assert visible.all()
    np.testing.assert_allclose(xy, expected, atol=1e-9)


def test_the_grid_of_b_may_differ():
    plain, _ = token_correspondences(look(0), GLOBAL, rows=2, cols=4)
    finer, _ = token_correspondences(look(0), GLOBAL, rows=2, cols=4, grid_b=(4, 16))
    np.testing.assert_allclose((plain[:, 0] + 0.5) / 4, (finer[:, 0] + 0.5) / 16)
    np.testing.assert_allclose((plain[:, 1] + 0.5) / 2, (finer[:, 1] + 0.5) / 4)


def test_shifting_whole_columns_pairs_few_nearest_tokens():
    """The half-strip rule pairs 5-6 % of a 16 x 16 grid with the true nearest token; ours all of it."""
    a, b = PAIRS["ring"]
    cols = np.tile(np.arange(16), 16)
    rays_a, rays_b = a.rays(16, 16).reshape(-1, 3), b.rays(16, 16).reshape(-1, 3)
    nearest = np.argmax(rays_a @ rays_b.T, axis=1)
    strip = cols >= 8
    shifted = np.arange(256) - 8
    assert np.mean(nearest[strip] == shifted[strip]) < 0.07


@settings(max_examples=60, deadline=None)
@given(
    yaw=st.floats(-180, 179),
    pitch=st.floats(-90, 90),
    roll=st.floats(-90, 90),
    fov_a=st.floats(20, 130),
    fov_b=st.floats(20, 130),
)
def test_sharing_agrees_with_looking_at_every_ray(yaw, pitch, roll, fov_a, fov_b):
    a, b = look(0, 0, 0, fov_a), look(yaw, pitch, roll, fov_b)
    seen = b.project(a.rays(60, 60))[2].any() or a.project(b.rays(60, 60))[2].any()
    assert share_rays(a, b) == share_rays(b, a)
    if seen:
        assert share_rays(a, b)
    else:  # an overlap thinner than the samples may remain: a little narrower, it must be gone
        shrunk = [look(0, 0, 0, fov_a * 0.93), look(yaw, pitch, roll, fov_b * 0.93)]
        assert not share_rays(*shrunk)


def test_windows_share_across_the_seam_and_not_along_an_edge():
    def strip(yaw_deg):
        return ViewSpec.window(f"{yaw_deg}", yaw_deg=yaw_deg, hfov_deg=90, vfov_deg=90, height_px=8, width_px=8)

    assert share_rays(strip(170), strip(-110))
    assert not share_rays(strip(170), strip(-100))


def test_kinds_are_not_mixed():
    with pytest.raises(GeometryError, match="'global' is erp; only views of one kind can be paired"):
        share_rays(look(0), GLOBAL)


def test_all_pairs_of_a_layout_see_each_other():
    layout = e2p_ring(hfov_deg=70, overlap=0.4)
    for i, j in layout.overlap_pairs():
        for a, b in ((i, j), (j, i)):
            _, visible = token_correspondences(layout.views[a], layout.views[b], rows=16, cols=16)
            assert 0.2 < visible.mean() < 0.8
