"""A sphere painted with plane waves: smooth, different in every direction, known exactly at every ray."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

from panollava.geometry import erp_rays

settings.register_profile("no time limits", deadline=None)
settings.load_profile("no time limits")

# one wave vector per channel: a few dozen waves around the sphere
WAVES = np.array([[9.0, 4.0, -6.0], [-3.0, 10.0, 5.0], [6.0, -5.0, 8.0]])


def paint(rays: np.ndarray) -> np.ndarray:
    """Return the colour (..., 3) of rays, in [27.5, 227.5]."""
    return 127.5 + 100.0 * np.sin(rays @ WAVES.T + [0.0, 1.0, 2.0])


@pytest.fixture
def colour() -> Callable[[np.ndarray], np.ndarray]:
    return paint


@pytest.fixture
def painted_erp() -> Callable[[int, int], np.ndarray]:
    return _painted_erp


@functools.cache
def _painted_erp(height: int, width: int) -> np.ndarray:
    erp = np.rint(paint(erp_rays(height, width))).astype(np.uint8)
    erp.flags.writeable = False  # one picture for all tests
    return erp


@pytest.fixture
def noise_erp() -> Callable[[int, int], np.ndarray]:
    def make(height: int, width: int) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    return make
