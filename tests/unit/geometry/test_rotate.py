import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panollava.errors import GeometryError
from panollava.geometry import erp_rays, roll_erp, rotate_erp, rotation

from .conftest import paint

ANGLES = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))


def painted(height: int, width: int, turn: np.ndarray) -> np.ndarray:
    """What a camera turned by R records of the painted sphere: its ray c looks along R c."""
    return paint(erp_rays(height, width) @ turn.T)


@given(ANGLES)
def test_a_turned_camera_records_the_turned_sphere(angles: tuple[float, float, float]):
    turn = rotation(*angles)
    erp = painted(256, 512, np.eye(3)).astype(np.float32)
    error = rotate_erp(erp, turn) - painted(256, 512, turn)
    assert np.abs(error).max() < 1.0  # the bilinear error of the waves
    assert np.sqrt((error**2).mean()) < 0.25


@given(ANGLES, ANGLES)
def test_turns_compose(first: tuple[float, float, float], second: tuple[float, float, float]):
    one, two = rotation(*first), rotation(*second)
    erp = painted(128, 256, np.eye(3)).astype(np.float32)
    twice, once = rotate_erp(rotate_erp(erp, one), two), rotate_erp(erp, one @ two)
    assert np.sqrt(((twice - once) ** 2).mean()) < 2.0
    assert np.sqrt(((twice - painted(128, 256, one @ two)) ** 2).mean()) < 2.0


@pytest.mark.parametrize("turn", [rotation(30, 40, 50), rotation(0, 90), rotation(10, 0, 180)])
def test_bytes_are_turned_like_floats(turn: np.ndarray, painted_erp):
    erp = painted_erp(512, 1024)
    exact = rotate_erp(erp.astype(np.float32), turn)
    assert np.abs(rotate_erp(erp, turn) - exact).max() <= 1.6  # half a level and 1/32 pixel
    assert abs((rotate_erp(erp, turn) - exact).mean()) < 0.02


@pytest.mark.parametrize("columns", [0, 1, -3, 32])
def test_whole_columns_move_and_change_nothing(columns: int, noise_erp):
    erp = noise_erp(32, 64)
    np.testing.assert_array_equal(rotate_erp(erp, rotation(columns * 360 / 64)), roll_erp(erp, -columns))


def test_half_a_column_is_the_mean_of_two(noise_erp):
    erp = noise_erp(32, 64).astype(np.float32)
    mean = (erp + np.roll(erp, -1, axis=1)) / 2
    np.testing.assert_allclose(rotate_erp(erp, rotation(0.5 * 360 / 64)), mean, atol=0.01)


def test_half_a_turn_over_the_pole_is_exact(noise_erp):
    """Roll by 180 degrees: every output pixel lies on an input pixel, rows and columns reversed."""
    erp = noise_erp(32, 64)
    np.testing.assert_array_equal(rotate_erp(erp, rotation(0, 0, 180)), erp[::-1, ::-1])


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_and_types_stay(channels: tuple[int, ...], dtype: type):
    erp = np.random.default_rng(0).uniform(0, 255, (9, 17, *channels)).astype(dtype)
    turned = rotate_erp(erp, rotation(10, 20, 30))
    assert (turned.shape, turned.dtype) == (erp.shape, erp.dtype)


def test_a_second_panorama_builds_no_maps(noise_erp):
    from panollava.geometry import rotate

    rotate_erp(noise_erp(40, 80), rotation(1, 2, 3))
    before = rotate._MAPS.builds
    rotate_erp(noise_erp(40, 80), rotation(1, 2, 3))
    assert rotate._MAPS.builds == before


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), r"has shape \(2, 2\); it must be a 3 x 3 matrix"),
        (np.diag([1.0, 1.0, -1.0]), "no rotation .*determinant -1"),
        (2 * np.eye(3), "no rotation .*differs from 1 by 3"),
        (np.full((3, 3), np.nan), "not finite"),
    ],
)
def test_what_is_no_rotation_is_refused(matrix: np.ndarray, message: str):
    with pytest.raises(GeometryError, match=message):
        rotate_erp(np.zeros((4, 8, 3), np.uint8), matrix)


def test_a_panorama_beyond_opencvs_limit_is_refused():
    with pytest.raises(GeometryError, match=r"32768 x 2 .*at most 32765"):
        rotate_erp(np.zeros((2, 32768, 3), np.uint8), rotation(0, 10))
