"""Which view colours which ERP pixel, and where in the view it reads: the plan that both stitchers follow.

::

    interior of a place in a view = 1 - its distance from the middle in half widths (the larger axis)

        0 +-------------+
          |  .5 +---+   |      owner     every pixel from the view in whose interior it lies deepest: sharp
          |     | 1 |   |      feather   the mean of all views that see it, weighted by interior: no step anywhere
          |     +---+   |
          +-------------+

Between the outermost pixel centres of a view and its edge lies half a pixel that belongs to nobody's interior; there a
view reads one pixel beyond its edge, which is taken from the view that sees that ray deepest (`border_sources`).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from panollava.errors import GeometryError, unknown_name
from panollava.geometry.angles import angles_from_ray, rotation
from panollava.geometry.erp_pixels import Window
from panollava.geometry.sampling import split_yaw
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

Blend = Literal["owner", "feather"]
BLENDS: tuple[Blend, ...] = get_args(Blend)
_EDGE_SAMPLES = 720
_TINY = np.float32(1e-12)


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of the ERP that one view colours.

    Attributes:
        index: the view's number in the layout.
        window: the ERP pixels; columns may run past the seam.
        col_px, row_px: where each reads the view, in its pixels (whole numbers are centres).
        weight: its share of each pixel, 0 to 1; None where all of the window is the view's alone.
    """

    index: int
    window: Window
    col_px: Float32[np.ndarray, "rows cols"]
    row_px: Float32[np.ndarray, "rows cols"]
    weight: Float32[np.ndarray, "rows cols"] | None

    def leaves_pixels(self, view: ViewSpec) -> bool:
        """Whether a place lies beyond the outermost pixel centres, so that the view needs a border."""
        inside = self.weight > 0.0 if self.weight is not None else np.ones_like(self.col_px, bool)
        col, row = self.col_px[inside], self.row_px[inside]
        slack = 1e-4
        low = min(col.min(initial=0.0), row.min(initial=0.0)) < -slack
        return bool(low or col.max() > view.width_px - 1 + slack or row.max() > view.height_px - 1 + slack)


def check_blend(blend: str) -> None:
    """Raise GeometryError unless the blend is owner or feather."""
    if blend not in BLENDS:
        raise GeometryError(unknown_name("blend", str(blend), BLENDS))


def stitched_views(layout: ViewLayout) -> tuple[int, ...]:
    """Return the views that colour the ERP: all but the global one, which only serves where it is alone."""
    local = tuple(i for i, view in enumerate(layout.views) if not view.is_global)
    return local or tuple(range(len(layout.views)))


def plan_pieces(layout: ViewLayout, *, height: int, width: int, blend: Blend) -> tuple[Piece, ...]:
    """Return the pieces of an ERP of height x width pixels; a pixel that no view sees is in none of them."""
    fronts: dict[ViewSpec, Places] = {}
    windows: dict[int, tuple[ViewSpec, Window]] = {}
    total = np.zeros((height, width), np.float32)
    owner = np.full((height, width), -1, np.int16)
    for index in stitched_views(layout):
        front, shift = split_yaw(layout.views[index], width)
        if front not in fronts:
            fronts[front] = Places.of(front, height=height, width=width)
        window = fronts[front].window
        window = replace(window, col0=(window.col0 + shift) % width)
        windows[index] = (front, window)
        for there, here in spans(window, width):
            interior = fronts[front].interior[:, here]
            if blend == "feather":
                total[there] += interior
                continue
            deeper = interior > total[there]
            np.copyto(total[there], interior, where=deeper)
            np.copyto(owner[there], np.int16(index), where=deeper)
    cuts: dict[tuple[ViewSpec, Window], Piece] = {}
    pieces = []
    for index, (front, window) in windows.items():
        weight = np.empty((window.rows, window.cols), np.float32)
        for there, here in spans(window, width):
            if blend == "owner":
                np.equal(owner[there], index, out=weight[:, here])
            else:
                np.divide(fronts[front].interior[:, here], np.maximum(total[there], _TINY), out=weight[:, here])
        piece = _cut(index, window, fronts[front], weight, width=width, made=cuts, front=front)
        pieces += [] if piece is None else [piece]
    return tuple(pieces)


def spans(window: Window, width: int) -> list[tuple[tuple[slice, slice], slice]]:
    """Return (rows and columns of the ERP, columns of the window), twice where the window crosses the seam."""
    rows = slice(window.row0, window.row0 + window.rows)
    first = min(window.cols, width - window.col0)
    found = [((rows, slice(window.col0, window.col0 + first)), slice(0, first))]
    if first < window.cols:
        found.append(((rows, slice(0, window.cols - first)), slice(first, window.cols)))
    return found


def border_sources(
    layout: ViewLayout, index: int
) -> tuple[tuple[int, Int[np.ndarray, "n 2"], Float32[np.ndarray, "n 2"]], ...]:
    """Return, for the frame of pixels just outside a view, which other views show those rays, and where.

    Returns:
        (view, frame pixels, places): frame pixels are (row, column) in the view padded by one pixel; places are
        (column, row) in pixels of the other view. Frame pixels that no other view sees are in none.
    """
    view = layout.views[index]
    height, width = view.height_px, view.width_px
    rows, cols = np.meshgrid(np.arange(height + 2), np.arange(width + 2), indexing="ij")
    frame = (rows == 0) | (rows == height + 1) | (cols == 0) | (cols == width + 1)
    at = np.stack([rows[frame], cols[frame]], axis=1)
    rays = view.rays_at((at[:, 1] - 0.5) / width, (at[:, 0] - 0.5) / height)
    best = np.full(len(at), 0.0)
    source = np.full(len(at), -1)
    places = np.zeros((len(at), 2), np.float32)
    for other in stitched_views(layout):
        if other == index:
            continue
        col, row, visible = layout.views[other].project(rays)
        interior = 1.0 - 2.0 * np.maximum(np.abs(col - 0.5), np.abs(row - 0.5))
        deeper = visible & (interior > best)
        best[deeper], source[deeper] = interior[deeper], other
        sizes = (layout.views[other].width_px, layout.views[other].height_px)
        places[deeper] = np.stack([col, row], axis=1)[deeper] * sizes - 0.5
    found = [int(other) for other in np.unique(source) if other >= 0]
    return tuple((other, at[source == other], places[source == other]) for other in found)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the ERP pixels of a window lie in a view (in its pixels), and how deep inside (0: outside)."""

    window: Window
    col_px: Float32[np.ndarray, "rows cols"]
    row_px: Float32[np.ndarray, "rows cols"]
    interior: Float32[np.ndarray, "rows cols"]

    @classmethod
    def of(cls, view: ViewSpec, *, height: int, width: int) -> "Places":
        """Return the places of a view, on the ERP pixels around it."""
        window = _extent(view, height=height, width=width)
        yaw_rad = ((np.arange(window.cols) + window.col0 + 0.5) / width - 0.5) * 2.0 * np.pi
        pitch_rad = (0.5 - (np.arange(window.rows) + window.row0 + 0.5) / height) * np.pi
        col, row, ahead = _project_grid(view, yaw_rad, pitch_rad)
        reach = np.maximum(np.abs(col), np.abs(row))
        interior = np.subtract(np.float32(1.0), reach)
        # an edge that two views share is inside both by rounding only: give each a last chance
        interior[(interior <= 0.0) & (reach <= 1.0 + 1e-5)] = 1e-6
        np.maximum(interior, 0.0, out=interior)
        if ahead is not None:
            interior[~ahead] = 0.0
        for place, size in ((col, view.width_px), (row, view.height_px)):
            place *= np.float32(size / 2.0)
            place += np.float32(size / 2.0 - 0.5)
        return cls(window, col, row, interior)


def _project_grid(
    view: ViewSpec, yaw_rad: Float[np.ndarray, " cols"], pitch_rad: Float[np.ndarray, " rows"]
) -> tuple[Float32[np.ndarray, "rows cols"], Float32[np.ndarray, "rows cols"], Bool[np.ndarray, "rows cols"] | None]:
    """Return (column, row, in front or None for all) of a grid of yaws and pitches, -1 to 1 across the view."""
    narrow = np.float32
    if view.kind == "erp":
        col = np.rad2deg(yaw_rad) - view.yaw_deg
        row = view.pitch_deg - np.rad2deg(pitch_rad)
        wide, high = np.broadcast_arrays(
            (col / (view.hfov_deg / 2.0)).astype(narrow)[None, :], (row / (view.vfov_deg / 2.0)).astype(narrow)[:, None]
        )
        return wide.copy(), high.copy(), None
    turn = rotation(view.yaw_deg, view.pitch_deg, view.roll_deg)
    half_x, half_y = np.tan(np.deg2rad(view.hfov_deg) / 2.0), np.tan(np.deg2rad(view.vfov_deg) / 2.0)
    cos_pitch, sin_pitch = np.cos(pitch_rad)[:, None].astype(narrow), np.sin(pitch_rad)[:, None]
    # the inverse rotation of a ray is a sum of a function of its row times one of its column, and one of its row
    across = np.outer(turn[0], np.sin(yaw_rad)) + np.outer(turn[2], np.cos(yaw_rad))
    x, y, z = (
        cos_pitch * (across[i] / half)[None, :].astype(narrow) - (sin_pitch * turn[1, i] / half).astype(narrow)
        for i, half in ((0, half_x), (1, half_y), (2, 1.0))
    )
    ahead = z > 1e-6
    if not ahead.all():
        z[~ahead] = 1.0
    np.divide(narrow(1.0), z, out=z)
    x *= z
    y *= z
    return x, y, ahead


def _extent(view: ViewSpec, *, height: int, width: int) -> Window:
    """Return the ERP pixels that a view sees, with a pixel to spare; all columns where it holds a pole."""
    along, ends = np.linspace(0.0, 1.0, _EDGE_SAMPLES + 1), np.array([0.0, 1.0])
    sides = [np.broadcast_arrays(along, ends[:, None]), np.broadcast_arrays(ends[:, None], along)]
    rays = np.concatenate([view.rays_at(*side).reshape(-1, 3) for side in sides])
    yaw_rad, pitch_rad = angles_from_ray(rays @ rotation(view.yaw_deg))  # the yaw from the view's middle
    holds_up, holds_down = (bool(view.project(np.array([0.0, down, 0.0]))[2]) for down in (-1.0, 1.0))
    top = 0 if holds_up else max(0, math.floor((0.5 - pitch_rad.max() / np.pi) * height) - 1)
    bottom = height if holds_down else min(height, math.ceil((0.5 - pitch_rad.min() / np.pi) * height) + 1)
    half_deg = view.hfov_deg / 2.0 if view.kind == "erp" else float(np.rad2deg(np.abs(yaw_rad).max()))
    side = math.ceil(half_deg / 360.0 * width) + 1
    middle = round((view.yaw_deg / 360.0 + 0.5) * width)
    if holds_up or holds_down or 2 * side >= width:
        return Window(top, bottom - top, middle - width // 2, width)
    return Window(top, bottom - top, middle - side, 2 * side)


def _cut(
    index: int,
    window: Window,
    places: Places,
    weight: Float32[np.ndarray, "rows cols"],
    *,
    width: int,
    made: dict[tuple[ViewSpec, Window], Piece],
    front: ViewSpec,
) -> Piece | None:
    """Return the piece of a view cut down to the pixels that it colours; pieces of one shape share their places."""
    used = weight > 0.0
    rows, cols = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if len(rows) == 0:
        return None
    part = Window(int(rows[0]), int(rows[-1] - rows[0]) + 1, int(cols[0]), int(cols[-1] - cols[0]) + 1)
    cut = (slice(part.row0, part.row0 + part.rows), slice(part.col0, part.col0 + part.cols))
    alone = bool(weight[cut].min() >= 1.0)
    if (front, part) not in made:
        col_px, row_px = (np.ascontiguousarray(place[cut]) for place in (places.col_px, places.row_px))
        made[front, part] = Piece(index, window, col_px, row_px, None)
    there = Window(window.row0 + part.row0, part.rows, (window.col0 + part.col0) % width, part.cols)
    share = None if alone else np.ascontiguousarray(weight[cut])
    return replace(made[front, part], index=index, window=there, weight=share)
