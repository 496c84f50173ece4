"""Turn a whole panorama by any rotation: level a tilted horizon, roll by part of a column, jitter.

::

    output ERP pixel -> ray c of the turned camera -> world ray R c -> place in the input ERP -> four taps

Columns wrap and rows go on past the poles on the column half a turn away, so nothing on the sphere is lost and no
edge is seen. A turn about the vertical axis by whole columns moves them and changes no value.
"""

from functools import partial

import cv2
import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike

from panollava.errors import GeometryError
from panollava.geometry.cache import ByteCache
from panollava.geometry.erp_pixels import check_erp, half_turn, roll_erp
from panollava.geometry.sampling import MAX_SOURCE_PX

# Maps of one strip: small enough to stay in the cache of a core while it is used.
_STRIP_PX = 2**19
_MAPS: ByteCache[tuple[np.ndarray, np.ndarray]] = ByteCache(limit_bytes=64 * 2**20)


def rotate_erp(
    erp: Shaped[np.ndarray, "height width *channels"], rotation: ArrayLike
) -> Shaped[np.ndarray, "height width *channels"]:
    """Return the panorama that a camera turned by ``rotation`` records at the same place.

    The output's ray c shows what the input shows at ``rotation @ c``; the output's front is the input's direction
    ``rotation @ (0, 0, 1)``. So ``rotate_erp(erp, geometry.rotation(90))`` brings what was right to the front, and a
    picture taken by a camera of pose P (camera to world) is levelled by ``rotate_erp(erp, P.T)``.

    Args:
        erp: u8 or f32, [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], 360 x 180 degrees; W <= 32765.
        rotation: a 3 x 3 rotation matrix, as `panollava.geometry.rotation` makes it.

    Returns:
        The turned panorama, of the same shape and type. u8 is interpolated in 1/32 pixels, f32 exactly.

    Raises:
        GeometryError: not an ERP, too wide, or not a rotation matrix.

    Example:
        >>> from panollava.geometry import rotation
        >>> erp = np.arange(32, dtype=np.uint8).reshape(4, 8)
        >>> rotate_erp(erp, rotation(90.0))[0].tolist()
        [2, 3, 4, 5, 6, 7, 0, 1]
    """
    check_erp(erp)
    matrix = check_rotation(rotation)
    height, width = erp.shape[:2]
    columns = _whole_columns(matrix, width)
    if columns is not None:
        return roll_erp(erp, -columns)
    if max(height, width) + 2 > MAX_SOURCE_PX:
        raise GeometryError(
            f"the ERP is {width} x {height} (width x height) pixels; a turn reads at most {MAX_SOURCE_PX - 2} a side. "
            "Resize the panorama first."
        )
    padded = pad_erp(erp)
    out = np.empty_like(erp)
    rows = max(1, _STRIP_PX // width)
    for top in range(0, height, rows):
        strip = (top, min(top + rows, height))
        exact = erp.dtype != np.uint8
        key = (matrix.tobytes(), height, width, strip, exact)
        maps = _MAPS.get(key, build=partial(_strip_maps, matrix, height, width, strip=strip, exact=exact))
        out[strip[0] : strip[1]] = cv2.remap(padded, *maps, cv2.INTER_LINEAR).reshape(out[strip[0] : strip[1]].shape)
    return out


def check_rotation(rotation: ArrayLike) -> Float[np.ndarray, "3 3"]:
    """Return a rotation matrix as float64.

    Raises:
        GeometryError: another shape, or a matrix that mirrors, scales or shears.
    """
    matrix = np.asarray(rotation, np.float64)
    if matrix.shape != (3, 3):
        raise GeometryError(f"the rotation has shape {matrix.shape}; it must be a 3 x 3 matrix.")
    if not np.isfinite(matrix).all():
        raise GeometryError(f"the rotation holds numbers that are not finite: {matrix.tolist()}.")
    error = float(np.abs(matrix @ matrix.T - np.eye(3)).max())
    if error >= 1e-5 or np.linalg.det(matrix) < 0.0:
        raise GeometryError(
            f"the matrix is no rotation (R R^T differs from 1 by {error:.3g}, determinant "
            f"{np.linalg.det(matrix):.3g}); make one with geometry.rotation(yaw_deg, pitch_deg, roll_deg)."
        )
    return matrix


def pad_erp(erp: Shaped[np.ndarray, "height width *channels"]) -> Shaped[np.ndarray, "height+2 width+2 *channels"]:
    """Return the ERP with one more pixel on each side: columns wrap, rows go on half a turn past the pole.

    Example:
        >>> pad_erp(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)).tolist()
        [[2, 3, 4, 1, 2, 3], [4, 1, 2, 3, 4, 1], [8, 5, 6, 7, 8, 5], [6, 7, 8, 5, 6, 7]]
    """
    height, width = erp.shape[:2]
    out = np.empty((height + 2, width + 2, *erp.shape[2:]), erp.dtype)
    out[1:-1, 1:-1] = erp
    out[0, 1:-1], out[-1, 1:-1] = half_turn(erp[:1])[0], half_turn(erp[-1:])[0]
    out[:, 0], out[:, -1] = out[:, -2], out[:, 1]
    return out


def rotated_pixels(
    rotation: Float[np.ndarray, "3 3"], height: int, width: int, *, top: int = 0, bottom: int | None = None
) -> tuple[Float[np.ndarray, "h width"], Float[np.ndarray, "h width"]]:
    """Return (u, v), the fractional input column and row that output rows [top, bottom) show; float64.

    A ray is a sum of outer products of functions of its row and of its column, so no rotation is done per pixel.
    """
    stop = height if bottom is None else bottom
    yaw = ((np.arange(width) + 0.5) / width - 0.5) * 2.0 * np.pi
    pitch = (0.5 - (np.arange(top, stop) + 0.5) / height) * np.pi
    across = np.outer(rotation[:, 0], np.sin(yaw)) + np.outer(rotation[:, 2], np.cos(yaw))
    cos_pitch, sin_pitch = np.cos(pitch)[:, None], np.sin(pitch)[:, None]
    x, y, z = (cos_pitch * across[i] - sin_pitch * rotation[i, 1] for i in range(3))
    u = (np.arctan2(x, z) / (2.0 * np.pi) + 0.5) * width - 0.5
    v = (0.5 + np.arctan2(y, np.hypot(x, z)) / np.pi) * height - 0.5
    return u, v


def _strip_maps(
    rotation: Float[np.ndarray, "3 3"], height: int, width: int, *, strip: tuple[int, int], exact: bool
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    u, v = rotated_pixels(rotation, height, width, top=strip[0], bottom=strip[1])
    # places in the padded picture
    across, down = (u + 1.0).astype(np.float32), (v + 1.0).astype(np.float32)
    maps = (across, down) if exact else cv2.convertMaps(across, down, cv2.CV_16SC2)
    return maps, maps[0].nbytes + maps[1].nbytes


def _whole_columns(rotation: Float[np.ndarray, "3 3"], width: int) -> int | None:
    """Return the columns of a turn about the vertical axis by whole columns, else None."""
    if abs(rotation[1, 1] - 1.0) > 1e-12:
        return None
    columns = float(np.arctan2(rotation[0, 2], rotation[2, 2])) / (2.0 * np.pi) * width
    return round(columns) if abs(columns - round(columns)) < 1e-6 else None
