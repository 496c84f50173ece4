"""How much a view shrinks the ERP, and what is done against aliasing: mip levels, supersampling, polar rows.

::

    rho = ERP pixels per view pixel at the view's centre (its minification)

    none      rho taps skipped between two pixels: every peer's way; moire from rho 2 on
    fast      ERP halved until rho is in [1.5, 3), one bilinear tap a pixel; cheaper than none
    quality   ERP halved until rho is in (2, 4], four taps a pixel, averaged

A row of the ERP at pitch p repeats every point of its circle 1 / cos(p) times more often than the horizon does. What
looks towards a pole therefore reads rows that were averaged along the row over that many pixels (`polar_bands`).

Measured against 16 x 16 rays a pixel on a photograph (benchmarks/geometry.py antialias): the octave [1.5, 3) loses
least with one tap, (2, 4] with four.
"""

import math
from collections.abc import Iterable
from typing import Literal, get_args

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.view import ViewSpec

Antialias = Literal["fast", "quality", "none"]

MODES: tuple[Antialias, ...] = get_args(Antialias)
# from this repetition on rows are averaged; pitch 60
POLAR_STRETCH = 2.0
_FAST_LIMIT, _QUALITY_LIMIT = 3.0, 4.0


def check_antialias(mode: str) -> None:
    """Raise GeometryError unless the mode is fast, quality or none."""
    if mode not in MODES:
        raise GeometryError(unknown_name("antialias", str(mode), MODES))


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


def halvings(view: ViewSpec, *, height: int, width: int, antialias: Antialias) -> int:
    """Return how often the ERP is halved before the view reads it.

    Example:
        >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=336, width_px=336)
        >>> [halvings(view, height=w // 2, width=w, antialias="fast") for w in (2048, 4096, 8192)]
        [0, 1, 2]
        >>> [halvings(view, height=w // 2, width=w, antialias="quality") for w in (2048, 4096, 8192)]
        [0, 0, 1]
    """
    rho = minification(view, height=height, width=width)
    if antialias == "none":
        return 0
    if antialias == "fast":
        return max(0, math.floor(math.log2(rho / _FAST_LIMIT)) + 1)
    return max(0, math.ceil(math.log2(rho / _QUALITY_LIMIT)))


def supersampling(view: ViewSpec, *, height: int, width: int, antialias: Antialias) -> int:
    """Return taps per pixel and axis: 2 for quality where the view shrinks the ERP at all, else 1."""
    shrinks = minification(view, height=height, width=width) > 1.0
    return 2 if antialias == "quality" and shrinks and view.kind == "perspective" else 1


def least_width(views: Iterable[ViewSpec], *, antialias: Antialias) -> int | None:
    """Return the smallest ERP width from which the views are as good as from any larger one.

    A decoder that can scale may stop there: it averages as halving does. None: nothing may be scaled, either because
    ``antialias`` is none, or because a view magnifies without limit.

    Example:
        >>> view = ViewSpec.perspective("front", yaw_deg=0, hfov_deg=90, height_px=336, width_px=336)
        >>> least_width([view], antialias="fast"), least_width([view], antialias="none")
        (1584, None)
    """
    if antialias == "none":
        return None
    least = _FAST_LIMIT / 2.0 if antialias == "fast" else _QUALITY_LIMIT / 2.0
    needed = 0
    for view in views:
        per_column = minification(view, height=10**6, width=2 * 10**6) / (2 * 10**6)
        needed = max(needed, math.floor(least / per_column) + 1)
    return needed


def polar_bands(height: int, *, limit: int) -> tuple[tuple[int, int, int], ...]:
    """Return (first row, last row + 1, odd width) of the bands around the north pole that are averaged along the row.

    The southern bands are the mirror image. Widths grow like 1 / cos(pitch), in steps of about a third, up to
    ``limit`` pixels.

    Example:
        >>> polar_bands(64, limit=9)
        ((0, 2, 9), (2, 3, 7), (3, 5, 5), (5, 11, 3))
    """
    bands: list[tuple[int, int, int]] = []
    for row in range(height // 2):
        stretch = 1.0 / math.sin(math.pi * (row + 0.5) / height)
        if stretch < POLAR_STRETCH:
            break
        width = min(_odd_step(stretch), limit - 1 + limit % 2)
        if bands and bands[-1][2] == width:
            bands[-1] = (bands[-1][0], row + 1, width)
        else:
            bands.append((row, row + 1, width))
    return tuple(band for band in bands if band[2] > 1)


def polar_rows(height: int) -> int:
    """Return how many rows at each pole repeat their points at least twice."""
    return math.floor(math.asin(1.0 / POLAR_STRETCH) / math.pi * height)


def _odd_step(stretch: float) -> int:
    """Return the odd width nearest to a stretch, among 3, 5, 7, 9, 13, 17, 23, ..."""
    width = 3
    while True:
        following = max(width + 2, 2 * round(width * 0.67) + 1)
        if stretch < (width + following) / 2.0:
            return width
        width = following
