"""What the builders of layouts share: the yaws of a ring, checked sizes, the global view."""

import math
from collections.abc import Sequence

import numpy as np

from panollava.errors import GeometryError
from panollava.geometry.angles import wrap_deg
from panollava.geometry.sphere import SECTORS4, SECTORS8
from panollava.geometry.view import ViewSpec, check_pixels
from panollava.geometry.view_layout import ViewLayout

MAX_RING_VIEWS = 256

Size = int | Sequence[int]


def ring_yaws(hfov_deg: float, overlap: float, *, turn_deg: float = 360.0) -> list[tuple[str, float]]:
    """Return (name, yaw_deg) of the views of a ring: as few as keep the overlap on a circle of an angle, even."""
    if not 0.0 <= overlap < 1.0:
        raise GeometryError(f"overlap is {overlap}; it is 1 - stride / hfov, in [0, 1).")
    if not 0.0 < hfov_deg <= 180.0:
        raise GeometryError(f"hfov_deg is {hfov_deg}; a view of a ring sees more than 0 and less than 180 degrees.")
    count = math.ceil(turn_deg / (hfov_deg * (1.0 - overlap)) - 1e-9)
    if count > MAX_RING_VIEWS:
        raise GeometryError(
            f"hfov_deg {hfov_deg:g} with overlap {overlap:g} makes {count} views; at most "
            f"{MAX_RING_VIEWS} are allowed. Widen hfov_deg or lower overlap."
        )
    yaws = [wrap_deg(i * 360.0 / count) for i in range(count)]
    names = {4: SECTORS4, 8: SECTORS8}.get(count) or tuple(f"yaw {yaw:+.4g}" for yaw in yaws)
    return list(zip(names, yaws, strict=True))


def pole_view(name: str, sign: float, height_px: int, width_px: int, hfov_deg: float) -> ViewSpec:
    """Return the view straight up (sign 1) or down (-1)."""
    return ViewSpec.perspective(
        name, yaw_deg=0.0, pitch_deg=90.0 * sign, hfov_deg=hfov_deg, height_px=height_px, width_px=width_px
    )


def finish_layout(name: str, views: list[ViewSpec], *, ring: int | range, global_size_px: Size | None) -> ViewLayout:
    """Return the layout of the views and, where it has a size, the global view last."""
    if global_size_px is not None:
        height, width = pixel_size("size_px" if name == "resize" else "global_size_px", global_size_px)
        views = [*views, ViewSpec.window("global", height_px=height, width_px=width)]
    return ViewLayout(tuple(views), name, tuple(range(ring) if isinstance(ring, int) else ring))


def pixel_size(what: str, value: Size) -> tuple[int, int]:
    """Return (height, width) of a number or a pair; GeometryError where it is neither."""
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(pair) != 2:
        raise GeometryError(f"{what} is {value!r}; give one number or a pair (height, width).")
    for number in pair:
        check_pixels(what, number)
    return int(pair[0]), int(pair[1])
