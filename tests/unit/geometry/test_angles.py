import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import angles_from_ray, great_circle_deg, ray_from_angles, rotation, wrap_deg

degrees = st.floats(-720.0, 720.0)
yaws = st.floats(-math.pi, math.pi)
pitches = st.floats(-math.pi / 2 + 1e-6, math.pi / 2 - 1e-6)


@pytest.mark.parametrize(
    ("yaw_deg", "pitch_deg", "ray"),
    [(0, 0, (0, 0, 1)), (90, 0, (1, 0, 0)), (-90, 0, (-1, 0, 0)), (180, 0, (0, 0, -1)), (0, 90, (0, -1, 0))],
)
def test_axes_are_right_down_forward(yaw_deg, pitch_deg, ray):
    np.testing.assert_allclose(ray_from_angles(math.radians(yaw_deg), math.radians(pitch_deg)), ray, atol=1e-15)


@given(yaw=yaws, pitch=pitches)
def test_angles_survive_the_ray(yaw, pitch):
    ray = ray_from_angles(yaw, pitch)
    back_yaw, back_pitch = angles_from_ray(3.0 * ray)
    assert np.linalg.norm(ray) == pytest.approx(1.0, abs=1e-12)
    assert abs(wrap_deg(math.degrees(float(back_yaw) - yaw))) < 1e-6
    assert float(back_pitch) == pytest.approx(pitch, abs=1e-9)


@given(angle=degrees)
def test_wrap_stays_in_half_open_range_and_keeps_the_direction(angle):
    wrapped = wrap_deg(angle)
    assert -180.0 <= wrapped < 180.0
    assert math.cos(math.radians(wrapped - angle)) == pytest.approx(1.0, abs=1e-9)


def test_wrap_never_returns_180():
    assert wrap_deg(-1e-17 - 180.0) == -180.0
    assert wrap_deg(np.nextafter(-180.0, -200.0)) < 180.0
    np.testing.assert_array_equal(wrap_deg(np.array([540.0, -181.0, 10.0])), [-180.0, 179.0, 10.0])


@given(yaw=st.floats(-180, 179), pitch=st.floats(-90, 90), roll=st.floats(-180, 180))
def test_rotation_is_rigid_and_looks_along_its_yaw_and_pitch(yaw, pitch, roll):
    R = rotation(yaw, pitch, roll)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    forward = ray_from_angles(math.radians(yaw), math.radians(pitch))
    np.testing.assert_allclose(R @ [0.0, 0.0, 1.0], forward, atol=1e-12)


def test_rotation_applies_roll_first_and_yaw_last():
    composed = rotation(40.0) @ rotation(0.0, 25.0) @ rotation(0.0, 0.0, -15.0)
    np.testing.assert_allclose(rotation(40.0, 25.0, -15.0), composed, atol=1e-15)
    np.testing.assert_allclose(rotation(20.0) @ rotation(30.0), rotation(50.0), atol=1e-15)


def test_roll_of_30_turns_the_camera_30_degrees_clockwise():
    right_axis = rotation(0.0, 0.0, 30.0) @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(right_axis, [math.cos(math.pi / 6), 0.5, 0.0])  # y is down


def test_great_circle_keeps_digits_of_tiny_and_opposite_angles():
    front = np.array([0.0, 0.0, 1.0])
    near = ray_from_angles(1e-9, 0.0)
    assert float(great_circle_deg(front, near)) == pytest.approx(math.degrees(1e-9), rel=1e-6)
    assert float(great_circle_deg(front, -near)) == pytest.approx(180.0 - math.degrees(1e-9), abs=1e-12)
    assert great_circle_deg(front, np.eye(3)).tolist() == [90.0, 90.0, 0.0]


def test_rays_without_three_numbers_are_refused():
    with pytest.raises(GeometryError, match=r"shape \(4, 2\); the last axis must be 3"):
        angles_from_ray(np.zeros((4, 2)))
