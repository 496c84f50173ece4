"""Where a view reads the ERP: bilinear maps, box filters, mip levels, and the one rule for seam and poles.

::

            columns -1                                     W
           row -1   .  row 0, rolled by W/2                .     past a pole the picture goes on
                 +--+--------------------------------------+--+  half a turn away
        col W-1  |  |                 ERP                  |  |  col 0: columns wrap
                 +--+--------------------------------------+--+
           row H    .  row H-1, rolled by W/2              .

A map does not hold ERP pixels but pixels of a window of the ERP, and the window may be moved by whole
columns. So the views of a ring share one map when W is a multiple of their number, and only a window that
crosses the seam or a pole is copied. All of it is float64 on the CPU; the two renderers read it.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from panollava.geometry.erp_pixels import Window
from panollava.geometry.sphere import erp_pixel_from_ray
from panollava.geometry.view import ViewSpec

# cv2.remap addresses its source with 16 bits
MAX_SOURCE_PX = 32767

# From 3 ERP pixels per view pixel on, one bilinear tap aliases; below 1.5 a halved ERP blurs. Measured
# against a supersampled reference, the octave [1.5, 3) loses least.
MAX_MINIFICATION = 3.0


def minification(view: ViewSpec, *, height: int, width: int) -> float:
    """Return ERP pixels per view pixel at the centre of the view, along the axis where they are fewer.

    For a perspective view W / (2 pi f) with f = w / (2 tan(hfov/2)).

    Example:
        >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=336, width_px=336)
        >>> round(minification(view, height=2048, width=4096), 2)
        3.88
    """
    if view.kind == "erp":
        return min(width * view.hfov_deg / 360.0 / view.width_px, height * view.vfov_deg / 180.0 / view.height_px)
    half_x = math.tan(math.radians(view.hfov_deg) / 2.0)
    half_y = math.tan(math.radians(view.vfov_deg) / 2.0)
    return min(width * half_x / (math.pi * view.width_px), 2.0 * height * half_y / (math.pi * view.height_px))


def halvings(view: ViewSpec, *, height: int, width: int) -> int:
    """Return how often to halve the ERP before one bilinear tap per pixel: the minification ends in [1.5, 3).

    Example:
        >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=336, width_px=336)
        >>> [halvings(view, height=size // 2, width=size) for size in (2048, 4096, 8192)]
        [0, 1, 2]
    """
    rho = minification(view, height=height, width=width)
    return max(0, math.floor(math.log2(rho / MAX_MINIFICATION)) + 1)


def half_size(size: int) -> int:
    """Return the pixels of one halved axis; an odd axis keeps its extent and rounds its count."""
    return max(1, (size + 1) // 2)


def uses_box(view: ViewSpec, *, height: int, width: int) -> bool:
    """Whether a view is an ERP window made smaller along both axes, where the box filter is exact."""
    return view.kind == "erp" and minification(view, height=height, width=width) >= 1.0


def view_pixels(
    view: ViewSpec, *, height: int, width: int
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Return (u, v), the fractional ERP column and row that each pixel of a view looks at."""
    return erp_pixel_from_ray(view.rays(view.height_px, view.width_px), height=height, width=width)


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


def enclosing_window(u: Float[np.ndarray, "h w"], v: Float[np.ndarray, "h w"]) -> Window:
    """Return the smallest window that holds all four neighbours of every place."""
    row0, col0 = math.floor(v.min()), math.floor(u.min())
    return Window(row0, math.floor(v.max()) + 2 - row0, col0, math.floor(u.max()) + 2 - col0)


def window_edges(view: ViewSpec, *, height: int, width: int) -> tuple[float, float, float, float]:
    """Return (top, bottom, left, right) of an ERP window in pixel edges, where 0 is the edge of pixel 0."""
    left = (view.yaw_deg - view.hfov_deg / 2.0) / 360.0 * width + width / 2.0
    top = (0.5 - (view.pitch_deg + view.vfov_deg / 2.0) / 180.0) * height
    edges = (top, top + view.vfov_deg / 180.0 * height, left, left + view.hfov_deg / 360.0 * width)
    near = [round(edge) if abs(edge - round(edge)) < 1e-6 else edge for edge in edges]
    return near[0], near[1], near[2], near[3]


def box_taps(
    start: float, stop: float, count: int
) -> tuple[Int[np.ndarray, "taps count"], Float[np.ndarray, "taps count"]]:
    """Return the pixels and weights that average [start, stop) into ``count`` equal boxes.

    Args:
        start: first edge, in pixel edges of the source.
        stop: last edge.
        count: number of boxes.

    Returns:
        (pixels, weights): box i is the sum over taps of source[pixels[:, i]] * weights[:, i]; the weights of
        a box sum to 1. Pixels may lie outside the source: wrap them. A tap of weight 0 repeats a pixel.

    Example:
        >>> pixels, weights = box_taps(0.0, 3.0, 2)
        >>> pixels[:, 1].tolist(), weights[:, 1].round(3).tolist()
        ([1, 2], [0.333, 0.667])
    """
    step = (stop - start) / count
    low = start + step * np.arange(count)
    high = low + step
    first = np.floor(low + 1e-9).astype(np.int64)
    last = np.ceil(high - 1e-9).astype(np.int64) - 1
    taps = int((last - first).max()) + 1
    pixels = first[None, :] + np.arange(taps)[:, None]
    weights = np.minimum(high, pixels + 1.0) - np.maximum(low, pixels)
    weights = np.clip(weights, 0.0, None)
    return np.minimum(pixels, last[None, :]), weights / weights.sum(axis=0)
