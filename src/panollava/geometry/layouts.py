"""Layouts: the ordered views of a panorama, their ring, their overlaps, and the seven ways to build them.

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
from functools import partial
from typing import Any

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.layout_parts import Size, finish_layout, pixel_size, pole_view, ring_yaws
from panollava.geometry.sphere import SECTORS4
from panollava.geometry.tangent import tangent
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewGroup, ViewLayout

__all__ = [
    "BUILDERS",
    "ViewGroup",
    "ViewLayout",
    "ViewSpec",
    "anyres",
    "build_layout",
    "cubemap",
    "e2p_bands",
    "e2p_ring",
    "resize",
    "sliding_window",
    "tangent",
]


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
    height, width = pixel_size("size_px", size_px)
    views = [
        ViewSpec.perspective(
            name, yaw_deg=yaw, pitch_deg=pitch_deg, hfov_deg=hfov_deg, height_px=height, width_px=width
        )
        for name, yaw in ring_yaws(hfov_deg, overlap)
    ]
    return finish_layout("e2p", views, ring=len(views), global_size_px=global_size_px)


def e2p_bands(
    *,
    pitches_deg: Sequence[float] = (-45.0, 0.0, 45.0),
    hfov_deg: float = 90.0,
    overlap: float = 0.5,
    size_px: Size = 96,
    poles: bool = False,
    global_size_px: Size | None = (96, 192),
) -> ViewLayout:
    """Return several rings of perspective views, one at each pitch, from the top down.

    A ring at a pitch has fewer views than one at the horizon, because its circles are shorter: as many as keep the
    overlap on the widest circle that its views see along their middle column. The ring of the layout, whose views
    close, is the one nearest to the horizon.

    Args:
        pitches_deg: pitch of each ring, different ones.
        hfov_deg: horizontal field of view of each view.
        overlap: the smallest angle shared with the next view of the ring, as a fraction of hfov_deg, in [0, 1).
        size_px: side of a square view, or (height, width).
        poles: add a view straight up and one straight down.
        global_size_px: (height, width) of the global view; None leaves it out.

    Raises:
        GeometryError: an impossible angle, overlap or size, or a pitch given twice.

    Example:
        >>> layout = e2p_bands(pitches_deg=(60, 0, -60), hfov_deg=60, overlap=0.0, global_size_px=None)
        >>> [sum(v.pitch_deg == p for v in layout.views) for p in (60, 0, -60)], layout.coverage() > 0.97
        ([6, 6, 6], True)
    """
    height, width = pixel_size("size_px", size_px)
    pitches = sorted((float(pitch) for pitch in pitches_deg), reverse=True)
    if not pitches or len(set(pitches)) < len(pitches):
        raise GeometryError(f"pitches_deg is {tuple(pitches_deg)}; give one or more different pitches.")
    views: list[ViewSpec] = []
    rings: dict[float, range] = {}
    look = partial(ViewSpec.perspective, hfov_deg=hfov_deg, height_px=height, width_px=width)
    for pitch in pitches:
        half_v = look("ring", yaw_deg=0.0, pitch_deg=pitch).vfov_deg / 2.0
        widest = math.cos(math.radians(max(0.0, abs(pitch) - half_v)))
        named = ring_yaws(hfov_deg, overlap, turn_deg=360.0 * widest)
        rings[pitch] = range(len(views), len(views) + len(named))
        height_name = f", pitch {pitch:+.4g}" if pitch else ""
        views += [look(name + height_name, yaw_deg=yaw, pitch_deg=pitch) for name, yaw in named]
    if poles:
        views += [pole_view(name, sign, height, width, hfov_deg) for name, sign in (("up", 1.0), ("down", -1.0))]
    level = rings[min(pitches, key=abs)]
    return finish_layout("bands", views, ring=level if len(level) > 1 else 0, global_size_px=global_size_px)


def cubemap(*, size_px: Size = 96, poles: bool = True, global_size_px: Size | None = None) -> ViewLayout:
    """Return the cube faces front, right, behind, left and, with ``poles``, up and down.

    Example:
        >>> [view.name for view in cubemap().views]
        ['front', 'right', 'behind', 'left', 'up', 'down']
    """
    height, width = pixel_size("size_px", size_px)
    if height != width:
        raise GeometryError(f"size_px is ({height}, {width}); the faces of a cube are square.")
    faces = [(name, 90.0 * i, 0.0) for i, name in enumerate(SECTORS4)]
    if poles:
        faces += [("up", 0.0, 90.0), ("down", 0.0, -90.0)]
    views = [
        ViewSpec.perspective(name, yaw_deg=yaw, pitch_deg=pitch, hfov_deg=90.0, height_px=height, width_px=width)
        for name, yaw, pitch in faces
    ]
    return finish_layout("cubemap", views, ring=4, global_size_px=global_size_px)


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
    height, width = pixel_size("size_px", size_px)
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
        for name, yaw in ring_yaws(hfov_deg, overlap)
    ]
    return finish_layout("sliding", views, ring=len(views), global_size_px=global_size_px)


def resize(*, size_px: Size = 224) -> ViewLayout:
    """Return the global view alone: the whole ERP, resized to a square or to (height, width).

    Example:
        >>> resize(size_px=(96, 192)).views[0].is_global
        True
    """
    return finish_layout("resize", [], ring=0, global_size_px=size_px)


def anyres(*, grid: Sequence[int] = (2, 4), tile_px: Size = 96, global_size_px: Size | None = (96, 192)) -> ViewLayout:
    """Return the tiles of a (rows, cols) cut of the flat ERP, row by row, and the global view last.

    Example:
        >>> layout = anyres(grid=(2, 4))
        >>> layout.views[0].yaw_deg, layout.views[0].pitch_deg, layout.ring_indices
        (-135.0, 45.0, ())
    """
    rows, cols = pixel_size("grid", grid)
    height, width = pixel_size("tile_px", tile_px)
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
    return finish_layout("anyres", views, ring=cols if rows == 1 and cols > 1 else 0, global_size_px=global_size_px)


BUILDERS: dict[str, Callable[..., ViewLayout]] = {
    "e2p": e2p_ring,
    "cubemap": cubemap,
    "bands": e2p_bands,
    "tangent": tangent,
    "sliding": sliding_window,
    "resize": resize,
    "anyres": anyres,
}


def build_layout(kind: str, **options: Any) -> ViewLayout:
    """Return the layout of a kind (e2p, bands, cubemap, tangent, sliding, resize, anyres) with its builder's options.

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
