"""The equirectangular picture (ERP) and the sphere: pixels, rays, solid angles, sectors.

::

    column   0          W/4         W/2         3W/4         W      (edges, not centres)
    yaw   -180          -90          0           90         180
           +-----------------------------------------------+  +90  pitch, row 0
           |   behind   |    left front right   |  behind  |
           +-----------------------------------------------+  -90  row H

Pixel centres: u = (yaw/360 + 1/2) W - 1/2, v = (1/2 - pitch/180) H - 1/2.
Columns wrap. Past a pole the rows continue on the column half a turn away.
"""

import numpy as np
from jaxtyping import Float

from panollava.errors import GeometryError
from panollava.geometry.angles import angles_from_ray, ray_from_angles, wrap_deg

SECTORS4 = ("front", "right", "behind", "left")
SECTORS8 = ("front", "front right", "right", "behind right", "behind", "behind left", "left", "front left")


def erp_rays(height: int, width: int) -> Float[np.ndarray, "{height} {width} 3"]:
    """Return the unit ray at the centre of every ERP pixel, float64.

    Raises:
        GeometryError: a size below one pixel.

    Example:
        >>> erp_rays(2, 4).shape
        (2, 4, 3)
    """
    _check_size(height, width)
    yaw_rad = ((np.arange(width) + 0.5) / width - 0.5) * 2.0 * np.pi
    pitch_rad = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    return ray_from_angles(yaw_rad[None, :], pitch_rad[:, None])


def erp_pixel_from_ray(
    ray: Float[np.ndarray, "*shape 3"], *, height: int, width: int
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Return (u, v), the fractional column and row of rays: u in [-1/2, W-1/2], v in [-1/2, H-1/2].

    Whole numbers are pixel centres. A reader that interpolates needs column W (which is column 0)
    and rows -1 and H (the rows that continue past the poles).

    Raises:
        GeometryError: a size below one pixel.

    Example:
        >>> u, v = erp_pixel_from_ray(np.array([0.0, 0.0, 1.0]), height=4, width=8)
        >>> float(u), float(v)
        (3.5, 1.5)
    """
    _check_size(height, width)
    yaw_rad, pitch_rad = angles_from_ray(ray)
    u = (yaw_rad / (2.0 * np.pi) + 0.5) * width - 0.5
    v = (0.5 - pitch_rad / np.pi) * height - 0.5
    return np.asarray(u), np.asarray(v)


def pixel_solid_angle(height: int, width: int) -> Float[np.ndarray, "{height}"]:
    """Return the exact solid angle in steradians of one pixel of each ERP row.

    Summed over all pixels (times ``width``) it is 4 pi.

    Raises:
        GeometryError: a size below one pixel.

    Example:
        >>> round(float(pixel_solid_angle(8, 16).sum() * 16 / np.pi), 9)
        4.0
    """
    _check_size(height, width)
    edges_rad = (0.5 - np.arange(height + 1) / height) * np.pi
    return (2.0 * np.pi / width) * -np.diff(np.sin(edges_rad))


def sector(yaw_deg: float, *, count: int) -> str:
    """Return the name of the sector that holds a yaw; sector i is centred on i * 360 / count degrees.

    A yaw on a border belongs to the sector on its right.

    Raises:
        GeometryError: a count other than 4 or 8.

    Example:
        >>> sector(0.0, count=4), sector(-44.0, count=4), sector(-44.0, count=8)
        ('front', 'front', 'front left')
    """
    names = {4: SECTORS4, 8: SECTORS8}.get(count)
    if names is None:
        raise GeometryError(f"sector count {count} has no names; choose 4 or 8.")
    return names[int(np.floor(wrap_deg(yaw_deg) * count / 360.0 + 0.5)) % count]


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise GeometryError(f"an ERP of {height} x {width} (height x width) pixels is empty; both must be >= 1.")
