"""Regions of the sphere against counts of evenly spread rays, and against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import FieldOfView, ViewSpec, bounding_field_of_view, rotation, spherical_iou
from panollava.geometry.regions import fibonacci_rays, polygon_solid_angle_sr, shared_solid_angle_sr

RAYS = fibonacci_rays(100_000)

REGIONS = st.builds(
    FieldOfView,
    yaw_deg=st.floats(-180, 180),
    pitch_deg=st.floats(-90, 90),
    hfov_deg=st.floats(5, 170),
    vfov_deg=st.floats(5, 170),
    roll_deg=st.floats(-180, 180),
)


@given(a=REGIONS, b=REGIONS)
@settings(max_examples=60)
def test_overlap_is_the_share_of_rays_inside_both(a, b):
    inside_a, inside_b = a.contains(RAYS), b.contains(RAYS)
    assert shared_solid_angle_sr(a, b) == pytest.approx((inside_a & inside_b).mean() * 4 * math.pi, abs=0.02)
    joint = a.solid_angle_sr() + b.solid_angle_sr() - shared_solid_angle_sr(a, b)
    assert spherical_iou(a, b) == pytest.approx(shared_solid_angle_sr(a, b) / joint)
    assert spherical_iou(a, b) == pytest.approx(spherical_iou(b, a), abs=1e-9)


@given(a=REGIONS)
@settings(max_examples=30)
def test_solid_angle_is_the_share_of_rays_inside(a):
    assert a.solid_angle_sr() == pytest.approx(a.contains(RAYS).mean() * 4 * math.pi, abs=0.02)
    assert polygon_solid_angle_sr(a.corners()) == pytest.approx(a.solid_angle_sr(), abs=1e-9)
    assert spherical_iou(a, a) == 1.0


@given(a=REGIONS, b=REGIONS, turn=st.floats(-180, 180))
@settings(max_examples=30)
def test_turning_both_about_the_vertical_changes_nothing(a, b, turn):
    def turned(r):
        return FieldOfView(
            yaw_deg=r.yaw_deg + turn,
            pitch_deg=r.pitch_deg,
            hfov_deg=r.hfov_deg,
            vfov_deg=r.vfov_deg,
            roll_deg=r.roll_deg,
        )

    assert spherical_iou(turned(a), turned(b)) == pytest.approx(spherical_iou(a, b), abs=1e-9)


def test_boxes_in_yaw_and_pitch_would_be_wrong_at_the_pole():
    """Two square views of the zenith, an eighth of a turn apart, share an octagon, whatever their yaws."""
    up = [FieldOfView(yaw_deg=yaw, pitch_deg=90, hfov_deg=40, vfov_deg=40) for yaw in (0, 45, 90)]
    assert spherical_iou(up[0], up[2]) == pytest.approx(1.0)
    assert 0.6 < spherical_iou(up[0], up[1]) < 0.8


def test_shared_angles_of_nested_and_of_distant_regions():
    wide = FieldOfView(yaw_deg=180, pitch_deg=10, hfov_deg=100, vfov_deg=80)
    small = FieldOfView(yaw_deg=-178, pitch_deg=5, hfov_deg=10, vfov_deg=10)
    assert shared_solid_angle_sr(wide, small) == pytest.approx(small.solid_angle_sr(), rel=1e-9)
    assert shared_solid_angle_sr(small, wide) == pytest.approx(small.solid_angle_sr(), rel=1e-9)
    assert shared_solid_angle_sr(small, FieldOfView(yaw_deg=0, pitch_deg=0, hfov_deg=100, vfov_deg=100)) == 0.0


@given(region=REGIONS, seed=st.integers(0, 99))
@settings(max_examples=50)
def test_a_bounding_field_of_view_holds_its_rays_and_touches_them(region, seed):
    random = np.random.default_rng(seed)
    half = math.tan(math.radians(min(region.hfov_deg, 120.0)) / 2)
    camera = np.stack([*random.uniform(-half, half, (2, 50)), np.ones(50)], axis=1)
    rays = camera @ rotation(region.yaw_deg, region.pitch_deg, region.roll_deg).T
    try:
        found = bounding_field_of_view(rays)
    except GeometryError as error:
        assert "no single camera" in str(error)
        return
    assert found.contains(rays / (1 + 1e-9)).mean() >= 0.96  # the rays on the edges may fall out by rounding
    narrower = FieldOfView(
        yaw_deg=found.yaw_deg, pitch_deg=found.pitch_deg, hfov_deg=found.hfov_deg * 0.97, vfov_deg=found.vfov_deg * 0.97
    )
    assert not narrower.contains(rays).all()


def test_a_bounding_field_of_view_crosses_the_seam_and_the_pole():
    seam = ViewSpec.perspective("v", yaw_deg=178, hfov_deg=30, height_px=9, width_px=9)
    found = bounding_field_of_view(seam.rays(40, 40).reshape(-1, 3))
    assert (found.yaw_deg, found.pitch_deg) == pytest.approx((178, 0), abs=0.01)
    assert found.hfov_deg == pytest.approx(2 * math.degrees(math.atan(math.tan(math.radians(15)) * 39 / 40)), abs=0.01)
    pole = ViewSpec.perspective("v", yaw_deg=0, pitch_deg=88, hfov_deg=20, height_px=9, width_px=9)
    assert bounding_field_of_view(pole.rays(20, 20).reshape(-1, 3)).pitch_deg == pytest.approx(88, abs=0.1)


def test_a_view_is_the_region_it_sees():
    view = ViewSpec.perspective("v", yaw_deg=20, pitch_deg=60, roll_deg=15, hfov_deg=70, height_px=40, width_px=60)
    assert np.array_equal(view.field_of_view.contains(RAYS), view.project(RAYS)[2])
    with pytest.raises(GeometryError, match="view 'g' is a window"):
        _ = ViewSpec.window("g", height_px=4, width_px=8).field_of_view


@given(count=st.integers(20, 500))
def test_fibonacci_rays_are_unit_and_even(count):
    rays = fibonacci_rays(count)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1.0)
    assert np.linalg.norm(rays.mean(axis=0)) < 2.0 / count
    nearest = np.sort(rays @ rays.T, axis=1)[:, -2]
    assert np.degrees(np.arccos(nearest.max())) > 0.5 * math.degrees(math.sqrt(4 * math.pi / count))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hfov_deg": 180}, "spans 180 x 40 degrees; both must be above 0 and below 180"),
        ({"vfov_deg": 0}, "spans 60 x 0 degrees"),
        ({"pitch_deg": 91}, "pitch_deg 91"),
        ({"yaw_deg": math.nan}, "finite"),
    ],
)
def test_impossible_regions_are_refused(values, message):
    with pytest.raises(GeometryError, match=message):
        FieldOfView(**({"yaw_deg": 0, "pitch_deg": 0, "hfov_deg": 60, "vfov_deg": 40} | values))


def test_what_cannot_be_bounded_or_measured_is_refused():
    with pytest.raises(GeometryError, match="no rays to bound"):
        bounding_field_of_view(np.zeros((0, 3)))
    with pytest.raises(GeometryError, match="no single camera"):
        bounding_field_of_view(RAYS)
    with pytest.raises(GeometryError, match=r"polygon of shape \(2, 3\)"):
        polygon_solid_angle_sr(np.eye(3)[:2])
