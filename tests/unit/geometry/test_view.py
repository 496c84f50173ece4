import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import ViewSpec, angles_from_ray, great_circle_deg, ray_from_angles

FRONT = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=8, width_px=8)


def window(**changes):
    return ViewSpec.window("w", **({"height_px": 8, "width_px": 8} | changes))


perspective_views = st.builds(
    ViewSpec.perspective,
    st.just("any"),
    yaw_deg=st.floats(-180, 179),
    pitch_deg=st.floats(-90, 90),
    roll_deg=st.floats(-180, 180),
    hfov_deg=st.floats(5, 150),
    height_px=st.integers(1, 60),
    width_px=st.integers(20, 60),
)
window_views = st.builds(
    window,
    yaw_deg=st.floats(-180, 179),
    pitch_deg=st.floats(-40, 40),
    hfov_deg=st.floats(5, 360),
    vfov_deg=st.floats(5, 100),
)


@given(view=perspective_views | window_views, col=st.floats(0.001, 0.999), row=st.floats(0.001, 0.999))
def test_project_undoes_rays_at(view, col, row):
    back_col, back_row, visible = view.project(view.rays_at(np.array(col), np.array(row)))
    assert bool(visible)
    assert float(back_col) == pytest.approx(col, abs=1e-7)
    assert float(back_row) == pytest.approx(row, abs=1e-7)


@given(view=perspective_views | window_views)
def test_rays_are_unit_and_centred(view):
    rays = view.rays(3, 5)
    assert rays.shape == (3, 5, 3)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0, atol=1e-12)
    centre = ray_from_angles(math.radians(view.yaw_deg), math.radians(view.pitch_deg))
    np.testing.assert_allclose(rays[1, 2], centre, atol=1e-9)


def test_field_of_view_runs_edge_to_edge():
    yaw, _ = angles_from_ray(FRONT.rays_at(np.array([0.0, 1.0]), np.array([0.5, 0.5])))
    np.testing.assert_allclose(np.rad2deg(yaw), [-45.0, 45.0])
    x = FRONT.rays(1, 8)[0]
    np.testing.assert_allclose(x[:, 0] / x[:, 2], 2 * (np.arange(8) + 0.5) / 8 - 1)


def test_square_pixels_set_the_vertical_field():
    view = ViewSpec.perspective("tall", yaw_deg=0, hfov_deg=60, height_px=30, width_px=10)
    _, pitch = angles_from_ray(view.rays_at(np.array(0.5), np.array(0.0)))
    assert math.degrees(float(pitch)) == pytest.approx(view.vfov_deg / 2)
    assert math.tan(math.radians(view.vfov_deg / 2)) == pytest.approx(3 * math.tan(math.radians(30)))


def test_a_window_is_even_in_yaw_and_pitch_and_crosses_the_seam():
    view = window(yaw_deg=180, pitch_deg=10, hfov_deg=40, vfov_deg=20)
    yaw, pitch = np.rad2deg(angles_from_ray(view.rays(2, 4)))
    np.testing.assert_allclose(yaw[0], [165.0, 175.0, -175.0, -165.0])
    np.testing.assert_allclose(pitch[:, 0], [15.0, 5.0])
    col, _, visible = view.project(ray_from_angles(np.deg2rad([-170.0, 170.0, -150.0]), np.deg2rad(10.0)))
    np.testing.assert_allclose(col[:2], [0.75, 0.25])
    assert visible.tolist() == [True, True, False]


def test_rays_behind_the_camera_have_no_place():
    col, row, visible = FRONT.project(np.array([[0.1, 0.1, -1.0], [1.0, 0.0, 0.0], [2.0, 0.0, 1.0]]))
    assert np.isnan(col[:2]).all() and np.isnan(row[:2]).all()
    assert float(col[2]) == pytest.approx(1.5)  # in front, outside the frame: still exact
    assert not visible.any()


def test_edges_are_visible():
    assert FRONT.project(ray_from_angles(np.deg2rad([-45.0, 45.0]), 0.0))[2].all()


def test_pixels_per_degree_is_measured_at_the_centre():
    for view in (
        ViewSpec.perspective("p", yaw_deg=0, hfov_deg=100, height_px=999, width_px=999),
        window(hfov_deg=90, vfov_deg=90, height_px=999, width_px=999),
    ):
        middle = view.rays(999, 999)[499, 498:500]
        assert 1.0 / float(great_circle_deg(*middle)) == pytest.approx(view.pixels_per_degree, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hfov_deg": 180}, "hfov_deg is 180; a perspective view sees more than 0 and less than 180"),
        ({"hfov_deg": 200}, "hfov_deg is 200"),
        ({"hfov_deg": 0}, "hfov_deg is 0"),
        ({"hfov_deg": math.nan}, "hfov_deg is nan; give a finite number"),
        ({"yaw_deg": math.inf}, "yaw_deg is inf; give a finite number"),
        ({"pitch_deg": 91}, r"pitch_deg is 91; it must be within \[-90, 90\]"),
        ({"width_px": 0}, "width_px is 0; it must be a whole number >= 1"),
        ({"height_px": 1.5}, "height_px is 1.5"),
        ({"height_px": True}, "height_px is True"),
    ],
)
def test_impossible_perspective_views_are_refused(changes, message):
    values = {"yaw_deg": 0, "hfov_deg": 90, "height_px": 8, "width_px": 8} | changes
    with pytest.raises(GeometryError, match=message):
        ViewSpec.perspective("bad", **values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hfov_deg": 361}, r"361 x 180 degrees is impossible; hfov_deg must be in \(0, 360\]"),
        ({"pitch_deg": 50, "vfov_deg": 90}, "pitch_deg 50 with vfov_deg 90 reaches past a pole"),
    ],
)
def test_impossible_windows_are_refused(changes, message):
    with pytest.raises(GeometryError, match=message):
        window(**changes)


def test_a_window_cannot_roll_and_kinds_are_named():
    values = window().to_dict()
    with pytest.raises(GeometryError, match="an ERP window cannot roll"):
        ViewSpec(**values | {"roll_deg": 5})
    with pytest.raises(GeometryError, match=r"unknown view kind 'perspectiv'. Did you mean 'perspective'"):
        ViewSpec(**values | {"kind": "perspectiv"})


def test_equal_views_are_one_key_and_survive_json():
    turned = ViewSpec.perspective("front", yaw_deg=360, hfov_deg=90.0, height_px=8, width_px=8)
    assert turned == FRONT and hash(turned) == hash(FRONT)
    assert ViewSpec.from_dict(json.loads(json.dumps(FRONT.to_dict()))) == FRONT


def test_from_dict_is_strict():
    values = FRONT.to_dict()
    with pytest.raises(GeometryError, match=r"unknown view key 'hfov'. Did you mean 'hfov_deg'"):
        ViewSpec.from_dict(values | {"hfov": 3})
    del values["yaw_deg"]
    with pytest.raises(GeometryError, match="view lacks yaw_deg"):
        ViewSpec.from_dict(values)


def test_only_the_whole_erp_is_global():
    assert window().is_global
    assert not window(vfov_deg=170).is_global
    assert not FRONT.is_global
