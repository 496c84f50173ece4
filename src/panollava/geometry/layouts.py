"""Layouts: the ordered views of a panorama, their ring, their overlaps, and the five ways to build them.

::

    e2p, hfov 90, overlap 0.5: a ring of eight views, each shares half its field of view with the next

        yaw  -180  -135   -90   -45     0    45    90   135   180
              4      5     6     7      0     1     2     3     4       view index; 0 looks to the front
              |------view 5------|                                      the ring closes over the seam
                     |------view 6------|

A number is written once: view counts, pairs and token rays all follow from the layout.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.angles import wrap_deg
from panollava.geometry.sphere import SECTORS4, SECTORS8
from panollava.geometry.view import ViewSpec, check_pixels
from panollava.geometry.view_layout import ViewGroup, ViewLayout

__all__ = [
    "BUILDERS",
    "ViewGroup",
    "ViewLayout",
    "ViewSpec",
    "anyres",
    "build_layout",
    "cubemap",
    "e2p_ring",
    "resize",
    "sliding_window",
]

MAX_RING_VIEWS = 256

Size = int | Sequence[int]


def e2p_ring(
    *,
    hfov_deg: float = 90.0,
    overlap: float = 0.5,
    pitch_deg: float = 0.0,
    size_px: Size = 96,
    global_size_px: Size | None = (96, 192),
) -> ViewLayout:
    """Return a closed ring of perspective views, view 0 to the front, and the global view last.

    Args:
        hfov_deg: horizontal field of view of each view.
        overlap: the smallest angle shared with the next view, as a fraction of hfov_deg, in [0, 1).
        pitch_deg: pitch of the whole ring.
        size_px: side of a square view, or (height, width).
        global_size_px: (height, width) of the global view; None leaves it out.

    Raises:
        GeometryError: an impossible angle, overlap or size.

    Example:
        >>> layout = e2p_ring(hfov_deg=90, overlap=0.5)
        >>> len(layout.views), layout.views[1].name, layout.views[7].yaw_deg, layout.views[8].name
        (9, 'front right', -45.0, 'global')
    """
    height, width = _size("size_px", size_px)
    views = [
        ViewSpec.perspective(
            name, yaw_deg=yaw, pitch_deg=pitch_deg, hfov_deg=hfov_deg, height_px=height, width_px=width
        )
        for name, yaw in _ring(hfov_deg, overlap)
    ]
    return _finish("e2p", views, ring=len(views), global_size_px=global_size_px)


def cubemap(*, size_px: Size = 96, poles: bool = True, global_size_px: Size | None = None) -> ViewLayout:
    """Return the cube faces front, right, behind, left and, with ``poles``, up and down.

    Example:
        >>> [view.name for view in cubemap().views]
        ['front', 'right', 'behind', 'left', 'up', 'down']
    """
    height, width = _size("size_px", size_px)
    if height != width:
        raise GeometryError(f"size_px is ({height}, {width}); the faces of a cube are square.")
    faces = [(name, 90.0 * i, 0.0) for i, name in enumerate(SECTORS4)]
    if poles:
        faces += [("up", 0.0, 90.0), ("down", 0.0, -90.0)]
    views = [
        ViewSpec.perspective(name, yaw_deg=yaw, pitch_deg=pitch, hfov_deg=90.0, height_px=height, width_px=width)
        for name, yaw, pitch in faces
    ]
    return _finish("cubemap", views, ring=4, global_size_px=global_size_px)


def sliding_window(
    *,
    hfov_deg: float = 90.0,
    overlap: float = 0.5,
    vfov_deg: float = 90.0,
    pitch_deg: float = 0.0,
    size_px: Size = 96,
    global_size_px: Size | None = None,
) -> ViewLayout:
    """Return a closed ring of ERP windows (crops, no projection), window 0 to the front.

    Args:
        hfov_deg: width of a window in degrees of yaw, up to 180.
        overlap: the smallest angle shared with the next window, as a fraction of hfov_deg, in [0, 1).
        vfov_deg: height of a window in degrees of pitch.
        pitch_deg: pitch of the whole ring.
        size_px: side of a square picture, or (height, width).
        global_size_px: (height, width) of the global view; None leaves it out.

    Example:
        >>> [view.yaw_deg for view in sliding_window(hfov_deg=120, overlap=0).views]
        [0.0, 120.0, -120.0]
    """
    height, width = _size("size_px", size_px)
    views = [
        ViewSpec.window(
            name,
            yaw_deg=yaw,
            pitch_deg=pitch_deg,
            hfov_deg=hfov_deg,
            vfov_deg=vfov_deg,
            height_px=height,
            width_px=width,
        )
        for name, yaw in _ring(hfov_deg, overlap)
    ]
    return _finish("sliding", views, ring=len(views), global_size_px=global_size_px)


def resize(*, size_px: Size = 224) -> ViewLayout:
    """Return the global view alone: the whole ERP, resized to a square or to (height, width).

    Example:
        >>> resize(size_px=(96, 192)).views[0].is_global
        True
    """
    return _finish("resize", [], ring=0, global_size_px=size_px)


def anyres(*, grid: Sequence[int] = (2, 4), tile_px: Size = 96, global_size_px: Size | None = (96, 192)) -> ViewLayout:
    """Return the tiles of a (rows, cols) cut of the flat ERP, row by row, and the global view last.

    Example:
        >>> layout = anyres(grid=(2, 4))
        >>> layout.views[0].yaw_deg, layout.views[0].pitch_deg, layout.ring_indices
        (-135.0, 45.0, ())
    """
    rows, cols = _size("grid", grid)
    height, width = _size("tile_px", tile_px)
    views = [
        ViewSpec.window(
            f"tile {row},{col}",
            yaw_deg=-180.0 + (col + 0.5) * 360.0 / cols,
            pitch_deg=90.0 - (row + 0.5) * 180.0 / rows,
            hfov_deg=360.0 / cols,
            vfov_deg=180.0 / rows,
            height_px=height,
            width_px=width,
        )
        for row in range(rows)
        for col in range(cols)
    ]
    return _finish("anyres", views, ring=cols if rows == 1 and cols > 1 else 0, global_size_px=global_size_px)


BUILDERS: dict[str, Callable[..., ViewLayout]] = {
    "e2p": e2p_ring,
    "cubemap": cubemap,
    "sliding": sliding_window,
    "resize": resize,
    "anyres": anyres,
}


def build_layout(kind: str, **options: Any) -> ViewLayout:
    """Return the layout of a kind: e2p, cubemap, sliding, resize or anyres, with that builder's options.

    Raises:
        GeometryError: an unknown kind or option (the nearest is named), or an impossible value.

    Example:
        >>> build_layout("cubemap", size_px=32).name
        'cubemap'
    """
    if kind not in BUILDERS:
        raise GeometryError(unknown_name("layout", kind, BUILDERS))
    known = inspect.signature(BUILDERS[kind]).parameters
    for option in options:
        if option not in known:
            raise GeometryError(unknown_name(f"option of layout '{kind}'", option, known))
    return BUILDERS[kind](**options)


def _ring(hfov_deg: float, overlap: float) -> list[tuple[str, float]]:
    """Return (name, yaw_deg) of the views of a ring: as few as keep the overlap, evenly spread."""
    if not 0.0 <= overlap < 1.0:
        raise GeometryError(f"overlap is {overlap}; it is 1 - stride / hfov, in [0, 1).")
    if not 0.0 < hfov_deg <= 180.0:
        raise GeometryError(f"hfov_deg is {hfov_deg}; a view of a ring sees more than 0 and less than 180 degrees.")
    count = math.ceil(360.0 / (hfov_deg * (1.0 - overlap)) - 1e-9)
    if count > MAX_RING_VIEWS:
        raise GeometryError(
            f"hfov_deg {hfov_deg:g} with overlap {overlap:g} makes {count} views; at most "
            f"{MAX_RING_VIEWS} are allowed. Widen hfov_deg or lower overlap."
        )
    yaws = [wrap_deg(i * 360.0 / count) for i in range(count)]
    names = {4: SECTORS4, 8: SECTORS8}.get(count) or tuple(f"yaw {yaw:+.4g}" for yaw in yaws)
    return list(zip(names, yaws, strict=True))


def _finish(name: str, views: list[ViewSpec], *, ring: int, global_size_px: Size | None) -> ViewLayout:
    if global_size_px is not None:
        height, width = _size("size_px" if name == "resize" else "global_size_px", global_size_px)
        views = [*views, ViewSpec.window("global", height_px=height, width_px=width)]
    return ViewLayout(tuple(views), name, tuple(range(ring)))


def _size(what: str, value: Size) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(pair) != 2:
        raise GeometryError(f"{what} is {value!r}; give one number or a pair (height, width).")
    for number in pair:
        check_pixels(what, number)
    return int(pair[0]), int(pair[1])
