import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import (
    SECTORS8,
    angles_from_ray,
    erp_pixel_from_ray,
    erp_rays,
    great_circle_deg,
    pixel_solid_angle,
    ray_from_angles,
    sector,
)

sizes = st.integers(1, 40)


@given(height=sizes, width=sizes)
def test_pixel_survives_its_ray(height, width):
    u, v = erp_pixel_from_ray(erp_rays(height, width), height=height, width=width)
    np.testing.assert_allclose(u, np.broadcast_to(np.arange(width), u.shape), atol=1e-9)
    np.testing.assert_allclose(v, np.broadcast_to(np.arange(height)[:, None], v.shape), atol=1e-9)


@given(u=st.floats(-0.49, 62.49), v=st.floats(-0.49, 30.49))
def test_ray_survives_its_pixel_between_centres(u, v):
    yaw = ((u + 0.5) / 63 - 0.5) * 2 * np.pi
    pitch = (0.5 - (v + 0.5) / 31) * np.pi
    back = erp_pixel_from_ray(ray_from_angles(yaw, pitch), height=31, width=63)
    np.testing.assert_allclose(back, (u, v), atol=1e-6)


def test_pixels_are_centred_half_a_pixel_from_the_edges():
    rays = erp_rays(4, 8)
    yaw, pitch = np.rad2deg(angles_from_ray(rays))
    np.testing.assert_allclose(yaw[0], np.arange(8) * 45.0 - 157.5)
    np.testing.assert_allclose(pitch[:, 0], [67.5, 22.5, -22.5, -67.5])


def test_columns_beside_the_seam_are_neighbours():
    rays = erp_rays(3, 360)
    assert float(great_circle_deg(rays[1, 0], rays[1, -1])) == pytest.approx(1.0)


@given(height=sizes, width=sizes)
def test_solid_angles_fill_the_sphere(height, width):
    assert pixel_solid_angle(height, width).sum() * width == pytest.approx(4 * np.pi)


def test_solid_angle_is_the_cosine_of_the_pitch():
    height, width = 512, 1024
    pitch = np.deg2rad(90 - (np.arange(height) + 0.5) * 180 / height)
    expected = np.cos(pitch) * (np.pi / height) * (2 * np.pi / width)
    np.testing.assert_allclose(pixel_solid_angle(height, width), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("yaw_deg", "count", "name"),
    [
        (0, 4, "front"),
        (44.9, 4, "front"),
        (45, 4, "right"),
        (-45, 4, "front"),
        (-45.1, 4, "left"),
        (180, 4, "behind"),
        (-180, 4, "behind"),
        (22.4, 8, "front"),
        (22.5, 8, "front right"),
        (-22.6, 8, "front left"),
        (360 + 135, 8, "behind right"),
    ],
)
def test_sector_borders(yaw_deg, count, name):
    assert sector(yaw_deg, count=count) == name


def test_sector_i_is_centred_on_its_share_of_the_turn():
    assert tuple(sector(i * 45.0, count=8) for i in range(8)) == SECTORS8


def test_impossible_values_are_refused():
    with pytest.raises(GeometryError, match="sector count 6 has no names; choose 4 or 8"):
        sector(0.0, count=6)
    with pytest.raises(GeometryError, match="0 x 8"):
        erp_rays(0, 8)
