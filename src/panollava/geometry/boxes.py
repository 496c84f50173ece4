"""ERP windows made smaller: the average of the pixels that each of their pixels covers."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, Int, Shaped

from panollava.geometry.antialias import Antialias, minification
from panollava.geometry.erp_pixels import Window, extract_window
from panollava.geometry.view import ViewSpec

Edges = tuple[float, float, float, float]


def uses_box(view: ViewSpec, *, height: int, width: int) -> bool:
    """Whether a view is an ERP window made smaller along both axes, where the box filter is exact."""
    return view.kind == "erp" and minification(view, height=height, width=width) >= 1.0


def window_edges(view: ViewSpec, *, height: int, width: int) -> Edges:
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


def box_halvings(view: ViewSpec, *, height: int, width: int, antialias: Antialias) -> int:
    """Return how often the ERP is halved before its boxes are averaged.

    Halving first is several times faster. It is exact while no box cuts through a pixel of the next level. Elsewhere
    the outermost pixels of a sum are a little wrong, and it goes on while a box keeps four pixels a side (quality: on
    a photograph 58 dB from the exact average or better) or one and a half (fast: 44 dB).

    Example:
        >>> window = ViewSpec.window("g", height_px=96, width_px=192)
        >>> [box_halvings(window, height=1024, width=2048, antialias=mode) for mode in ("fast", "quality")]
        [2, 1]
    """
    least = 1.5 if antialias == "fast" else 4.0
    top, bottom, left, right = window_edges(view, height=height, width=width)
    boxes = ((bottom - top) / view.height_px, (right - left) / view.width_px)
    ends = (top, left, *boxes)  # the edges of every box are whole multiples of these
    count = 0
    while height % 2 == 0 and width % 2 == 0:
        exact = all(float(end / 2 ** (count + 1)).is_integer() for end in ends)
        if min(boxes) / 2 ** (count + 1) < (1.0 if exact else least):
            break
        height, width, count = height // 2, width // 2, count + 1
    return count


def render_box(level: Callable[[int], np.ndarray], view: ViewSpec, *, antialias: Antialias, out: np.ndarray) -> None:
    """Write an ERP window as the average of the pixels that each of its pixels covers.

    Args:
        level: returns the ERP halved that many times.
        view: the window.
        antialias: fast or quality.
        out: the picture to write to, of the view's size and the ERP's channels and type.
    """
    erp = level(0)
    erp = level(box_halvings(view, height=erp.shape[0], width=erp.shape[1], antialias=antialias))
    top, bottom, left, right = edges = window_edges(view, height=erp.shape[0], width=erp.shape[1])
    if not all(float(edge).is_integer() for edge in edges):
        out[:] = _box_filter(erp, edges, view)
        return
    window = Window(int(top), int(bottom - top), int(left) % erp.shape[1], int(right - left))
    source = extract_window(erp, window)
    cv2.resize(source, (view.width_px, view.height_px), dst=out, interpolation=cv2.INTER_AREA)


def _box_filter(erp: Shaped[np.ndarray, "height width channels"], edges: Edges, view: ViewSpec) -> np.ndarray:
    """Return the box average of a window whose edges cut through pixels."""
    top, bottom, left, right = edges
    rows, row_weights = box_taps(top, bottom, view.height_px)
    cols, col_weights = box_taps(left, right, view.width_px)
    rows = np.clip(rows, 0, erp.shape[0] - 1)  # rounding only: a window never passes a pole
    cols %= erp.shape[1]
    lines = np.zeros((view.height_px, *erp.shape[1:]), np.float32)
    for row, weight in zip(rows, row_weights.astype(np.float32), strict=True):
        lines += erp[row] * weight[:, None, None]
    out = np.zeros((view.height_px, view.width_px, erp.shape[2]), np.float32)
    for col, weight in zip(cols, col_weights.astype(np.float32), strict=True):
        out += lines[:, col] * weight[:, None]
    return np.rint(out) if erp.dtype == np.uint8 else out
