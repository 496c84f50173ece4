"""Where a view reads the ERP: the place of every pixel, and windows that many views share.

::

            columns -1                                     W
           row -1   .  row 0, rolled by W/2                .     past a pole the picture goes on
                 +--+--------------------------------------+--+  half a turn away
        col W-1  |  |                 ERP                  |  |  col 0: columns wrap
                 +--+--------------------------------------+--+
           row H    .  row H-1, rolled by W/2              .

A map does not hold ERP pixels but pixels of a window of the ERP, and the window may be moved by whole
columns. So the views of a ring share one map when W is a multiple of their number, and only a window that
crosses the seam or a pole is copied. Both renderers read these places.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from panollava.geometry.angles import rotation
from panollava.geometry.erp_pixels import Window
from panollava.geometry.view import ViewSpec

# cv2.remap addresses its source with 16 bits
MAX_SOURCE_PX = 32767


def view_pixels(
    view: ViewSpec, *, height: int, width: int, dtype: type[np.floating] = np.float64
) -> tuple[Float[np.ndarray, "#h w"], Float[np.ndarray, "h #w"]]:
    """Return (u, v), the fractional ERP column and row that each pixel of a view looks at.

    u runs on past the seam instead of jumping by W, except around a pole. An array that does not change along an
    axis has length 1 there. A ray is a sum of a function of its column and one of its row, so that 512 x 512 places
    in float32 take about a millisecond; places of the full precision come with float64.
    """
    across = 2.0 * (np.arange(view.width_px) + 0.5) / view.width_px - 1.0
    down = 2.0 * (np.arange(view.height_px) + 0.5) / view.height_px - 1.0
    if view.kind == "erp":
        yaw_deg = (view.yaw_deg + view.hfov_deg / 2.0 * across)[None, :]
        pitch_deg = (view.pitch_deg - view.vfov_deg / 2.0 * down)[:, None]
        u, v = (yaw_deg / 360.0 + 0.5) * width - 0.5, (0.5 - pitch_deg / 180.0) * height - 0.5
        return u.astype(dtype), v.astype(dtype)
    x = math.tan(math.radians(view.hfov_deg) / 2.0) * across
    y = math.tan(math.radians(view.vfov_deg) / 2.0) * down
    if view.pitch_deg == 0.0 and view.roll_deg == 0.0:
        turn_rad = np.arctan(x)[None, :].astype(dtype)
        slope = y[:, None].astype(dtype) * (1.0 / np.hypot(1.0, x))[None, :].astype(dtype)
        down_rad = np.arctan(slope, out=slope)
    else:
        tilt = rotation(0.0, view.pitch_deg, view.roll_deg)  # the yaw is added after, and cannot wrap
        right, below, ahead = (
            np.add.outer((tilt[i, 1] * y + tilt[i, 2]).astype(dtype), (tilt[i, 0] * x).astype(dtype)) for i in range(3)
        )
        turn_rad = np.arctan2(right, ahead)
        flat = np.sqrt(np.add(np.square(right, out=right), np.square(ahead, out=ahead), out=right), out=right)
        down_rad = np.arctan2(below, flat, out=below)
    turn_rad *= dtype(width / (2.0 * math.pi))
    turn_rad += dtype((view.yaw_deg / 360.0 + 0.5) * width - 0.5)
    down_rad *= dtype(height / math.pi)
    down_rad += dtype(0.5 * height - 0.5)
    return turn_rad, down_rad


def split_yaw(view: ViewSpec, width: int) -> tuple[ViewSpec, int]:
    """Return the view turned towards the front by whole ERP columns, and those columns.

    Views that differ by whole columns become equal, except for their name, and can share one map.

    Example:
        >>> view = ViewSpec.perspective("right", yaw_deg=90, hfov_deg=90, height_px=8, width_px=8)
        >>> split_yaw(view, 1024)[0].yaw_deg, split_yaw(view, 1024)[1]
        (0.0, 256)
    """
    columns = view.yaw_deg / 360.0 * width
    shift = round(columns)
    rest = columns - shift
    rest = 0.0 if abs(rest) < 1e-9 * width else rest
    return replace(view, name="", yaw_deg=rest * 360.0 / width), shift


def enclosing_window(u: Float[np.ndarray, "#h w"], v: Float[np.ndarray, "h #w"]) -> Window:
    """Return the smallest window that holds all four neighbours of every place."""
    row0, col0 = math.floor(v.min()), math.floor(u.min())
    return Window(row0, math.floor(v.max()) + 2 - row0, col0, math.floor(u.max()) + 2 - col0)
