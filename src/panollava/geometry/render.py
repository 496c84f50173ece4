"""Render the views of a layout from a uint8 ERP with OpenCV: exact at the seam and the poles.

    ERP -> (halved while a view needs it) -> window of the view -> cv2.remap -> view     perspective
    ERP -> (halved while exact)           -> window of the view -> box filter -> view    ERP window

The maps are kept between calls, up to 256 MB. `panollava.geometry.render_torch` renders the same views
with gradients.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from panollava.errors import GeometryError
from panollava.geometry.cache import ByteCache
from panollava.geometry.erp_pixels import Window, extract_window
from panollava.geometry.sampling import (
    MAX_SOURCE_PX,
    box_taps,
    enclosing_window,
    half_size,
    halvings,
    split_yaw,
    uses_box,
    view_pixels,
    window_edges,
)
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, slots=True)
class _ViewMap:
    """Where each pixel of a view reads, in pixels of a window: cv2's 16-bit maps, in 1/32 pixels."""

    whole: np.ndarray
    fraction: np.ndarray
    window: Window


_maps: ByteCache[_ViewMap] = ByteCache(limit_bytes=CACHE_BYTES)


def render_views(erp: Picture, layout: ViewLayout, *, antialias: bool = True) -> list[Picture]:
    """Return the picture of every view of a layout, in its order.

    Args:
        erp: u8 [H, W, 3], any size; it spans 360 x 180 degrees.
        layout: the views.
        antialias: read a halved ERP where a view has 3 or more ERP pixels per pixel, and average ERP
            windows with an exact box filter. Without it every pixel is one bilinear tap.

    Returns:
        One u8 [height_px, width_px, 3] per view.

    Raises:
        GeometryError: an ERP of another type or shape, or too wide for a view that holds a pole.

    Example:
        >>> from panollava.geometry import cubemap
        >>> [view.shape for view in render_views(np.zeros((64, 128, 3), np.uint8), cubemap(size_px=16))][:2]
        [(16, 16, 3), (16, 16, 3)]
    """
    levels = [_checked(erp)]
    return [_render(levels, view, antialias=antialias) for view in layout.views]


def _checked(erp: Picture) -> Picture:
    if not isinstance(erp, np.ndarray) or erp.dtype != np.uint8 or erp.ndim != 3 or erp.shape[2] != 3:
        seen = f"{erp.dtype} {erp.shape}" if isinstance(erp, np.ndarray) else type(erp).__name__
        raise GeometryError(f"the ERP is {seen}; render_views takes a uint8 array of shape (height, width, 3).")
    if min(erp.shape) < 1:
        raise GeometryError(f"the ERP of shape {erp.shape} is empty.")
    return np.ascontiguousarray(erp)


def _render(levels: list[Picture], view: ViewSpec, *, antialias: bool) -> Picture:
    height, width = levels[0].shape[:2]
    if antialias and uses_box(view, height=height, width=width):
        return _render_box(levels, view)
    count = halvings(view, height=height, width=width) if antialias else 0
    return _remap(_level(levels, count), view)


def _level(levels: list[Picture], count: int) -> Picture:
    """Return the ERP halved ``count`` times; every level is made once per panorama."""
    while len(levels) <= count:
        height, width = (half_size(size) for size in levels[-1].shape[:2])
        levels.append(cv2.resize(levels[-1], (width, height), interpolation=cv2.INTER_AREA))
    return levels[count]


def _remap(erp: Picture, view: ViewSpec) -> Picture:
    height, width = erp.shape[:2]
    front, shift = split_yaw(view, width)
    found = _maps.get((front, height, width), build=lambda: _build_map(front, height, width))
    window = found.window
    source = extract_window(erp, replace(window, col0=(window.col0 + shift) % width))
    # no place lies outside the window: the border mode only meets taps of weight zero
    return cv2.remap(source, found.whole, found.fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _build_map(view: ViewSpec, height: int, width: int) -> tuple[_ViewMap, int]:
    u, v = view_pixels(view, height=height, width=width)
    window = enclosing_window(u, v)
    if max(window.rows, window.cols) > MAX_SOURCE_PX:
        raise GeometryError(
            f"a view needs {window.rows} x {window.cols} pixels of the {height} x {width} ERP at once, above "
            f"{MAX_SOURCE_PX}. Resize the panorama, or render it with antialias=True."
        )
    whole, fraction = cv2.convertMaps(
        (u - window.col0).astype(np.float32), (v - window.row0).astype(np.float32), cv2.CV_16SC2
    )
    return _ViewMap(whole, fraction, window), whole.nbytes + fraction.nbytes


def _render_box(levels: list[Picture], view: ViewSpec) -> Picture:
    """Return an ERP window as the exact average of the pixels that each of its pixels covers."""
    erp, count = levels[0], 0
    edges = window_edges(view, height=erp.shape[0], width=erp.shape[1])
    # halving first is several times faster, and exact while no box straddles a pixel of the next level
    while _can_halve(erp, edges, view):
        count += 1
        erp = _level(levels, count)
        edges = window_edges(view, height=erp.shape[0], width=erp.shape[1])
    top, bottom, left, right = edges
    if not all(float(edge).is_integer() for edge in edges):
        return _box_filter(erp, edges, view)
    window = Window(int(top), int(bottom - top), int(left) % erp.shape[1], int(right - left))
    return cv2.resize(extract_window(erp, window), (view.width_px, view.height_px), interpolation=cv2.INTER_AREA)


def _can_halve(erp: Picture, edges: tuple[float, float, float, float], view: ViewSpec) -> bool:
    """Whether a halved ERP still has two pixels per view pixel and the window's edges between its pixels."""
    top, bottom, left, right = edges
    roomy = bottom - top >= 4 * view.height_px and right - left >= 4 * view.width_px
    lengths = (*edges, *erp.shape[:2])
    return roomy and all(float(length / 2).is_integer() for length in lengths)


def _box_filter(erp: Picture, edges: tuple[float, float, float, float], view: ViewSpec) -> Picture:
    """Return the box average of a window whose edges cut through pixels."""
    top, bottom, left, right = edges
    rows, row_weights = box_taps(top, bottom, view.height_px)
    cols, col_weights = box_taps(left, right, view.width_px)
    rows = np.clip(rows, 0, erp.shape[0] - 1)  # rounding only: a window never passes a pole
    cols %= erp.shape[1]
    lines: Float32[np.ndarray, "h W 3"] = np.zeros((view.height_px, *erp.shape[1:]), np.float32)
    for row, weight in zip(rows, row_weights.astype(np.float32), strict=True):
        lines += erp[row] * weight[:, None, None]
    out = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for col, weight in zip(cols, col_weights.astype(np.float32), strict=True):
        out += lines[:, col] * weight[:, None]
    return np.rint(out).astype(np.uint8)
