"""One picture of all views of a layout, with names, angles and a yaw-pitch grid: look before you train.

::

    +---------+ +---------+ +---------+ +---------+
    |    |    | |    |    | |    |    | |    |    |    thin lines every 30 degrees,
    |----+----| |----+----| |----+----| |----+----|    the horizon in colour
    +---------+ +---------+ +---------+ +---------+
    front       front right right       behind right
    yaw +0 ...  yaw +45 ... yaw +90 ... yaw +135 ...
    +---------------------------------------------+
    |                   global                    |
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from panollava.errors import GeometryError
from panollava.geometry.angles import ray_from_angles
from panollava.geometry.view import ViewSpec, check_pixels
from panollava.geometry.view_layout import ViewLayout

Picture = UInt8[np.ndarray, "_ _ 3"]

GRID_STEP_DEG = 30
_GAP = 14
_LABEL = 40
_BACKGROUND = (22, 25, 31)
_TITLE = (236, 239, 244)
_DETAIL = (150, 158, 172)
_LINE = (255, 255, 255)
_HORIZON = (255, 196, 61)


def contact_sheet(images: Sequence[Picture], layout: ViewLayout, *, columns: int = 4, cell_px: int = 224) -> Picture:
    """Return a labelled montage of the views; a global view gets a row of its own.

    Args:
        images: u8 [height_px, width_px, 3] per view, as `render_views` returns them.
        layout: the layout they were rendered with.
        columns: views per row.
        cell_px: width of a view on the sheet.

    Returns:
        u8 [height, width, 3], RGB.

    Raises:
        GeometryError: the images do not fit the layout, or a size below 1.

    Example:
        >>> from panollava.geometry import cubemap, render_views
        >>> layout = cubemap(size_px=32)
        >>> contact_sheet(render_views(np.zeros((64, 128, 3), np.uint8), layout), layout).shape
        (570, 966, 3)
    """
    _check(images, layout, columns=columns, cell_px=cell_px)
    pairs = list(zip(images, layout.views, strict=True))
    local = [pair for pair in pairs if not pair[1].is_global]
    across = max(1, min(columns, len(local))) if local else 2
    width = across * cell_px + (across - 1) * _GAP
    cards = [_card(image, view, width=cell_px) for image, view in local]
    rows = [_row(cards[start : start + across], width) for start in range(0, len(cards), across)]
    rows += [_card(image, view, width=width) for image, view in pairs if view.is_global]
    sheet = _canvas(sum(row.shape[0] + _GAP for row in rows) + _GAP, width + 2 * _GAP)
    top = _GAP
    for row in rows:
        sheet[top : top + row.shape[0], _GAP : _GAP + width] = row
        top += row.shape[0] + _GAP
    return sheet


def _check(images: Sequence[Picture], layout: ViewLayout, *, columns: int, cell_px: int) -> None:
    check_pixels("columns", columns)
    check_pixels("cell_px", cell_px)
    if len(images) != len(layout.views):
        raise GeometryError(
            f"{len(images)} images for layout '{layout.name}' with {len(layout.views)} views; give one per view."
        )
    for image, view in zip(images, layout.views, strict=True):
        expected = (view.height_px, view.width_px, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise GeometryError(
                f"the image of view '{view.name}' is {image.dtype} {image.shape}; it must be uint8 {expected}."
            )


def _canvas(height: int, width: int) -> Picture:
    return np.full((height, width, 3), _BACKGROUND, np.uint8)


def _row(cards: Sequence[Picture], width: int) -> Picture:
    row = _canvas(max(card.shape[0] for card in cards), width)
    for index, card in enumerate(cards):
        left = index * (card.shape[1] + _GAP)
        row[: card.shape[0], left : left + card.shape[1]] = card
    return row


def _card(image: Picture, view: ViewSpec, *, width: int) -> Picture:
    """Return one view, scaled to a width, with its grid and its label."""
    height = max(1, round(width * view.height_px / view.width_px))
    shrinks = width < view.width_px
    picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    card = _canvas(height + _LABEL, width)
    card[:height] = _with_grid(picture, view)
    detail = f"yaw {view.yaw_deg:+.4g}  pitch {view.pitch_deg:+.4g}  {view.hfov_deg:.3g} x {view.vfov_deg:.3g}"
    _text(card, view.name, at=(1, height + 17), scale=0.48, colour=_TITLE)
    _text(card, detail, at=(1, height + 34), scale=0.38, colour=_DETAIL)
    return card


def _text(canvas: Picture, text: str, *, at: tuple[int, int], scale: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _with_grid(picture: Picture, view: ViewSpec) -> Picture:
    """Return the picture under thin lines of equal yaw and pitch, and the horizon."""
    drawn = picture.copy()
    for line in _grid_lines(view):
        _draw(drawn, line, colour=_LINE)
    drawn = cv2.addWeighted(drawn, 0.3, picture, 0.7, 0.0)
    horizon = drawn.copy()
    _draw(horizon, _line_of(view, pitch_deg=0.0), colour=_HORIZON)
    return cv2.addWeighted(horizon, 0.7, drawn, 0.3, 0.0)


def _grid_lines(view: ViewSpec) -> Iterator[Float[np.ndarray, "n 2"]]:
    for yaw_deg in range(-180, 180, GRID_STEP_DEG):
        yield _line_of(view, yaw_deg=float(yaw_deg))
    for pitch_deg in range(-90 + GRID_STEP_DEG, 90, GRID_STEP_DEG):
        if pitch_deg:
            yield _line_of(view, pitch_deg=float(pitch_deg))


def _line_of(
    view: ViewSpec, *, yaw_deg: float | None = None, pitch_deg: float | None = None
) -> Float[np.ndarray, "n 2"]:
    """Return a line of equal yaw or equal pitch in fractions of the view; NaN where it is not seen."""
    if yaw_deg is not None:
        rays = ray_from_angles(np.deg2rad(yaw_deg), np.deg2rad(np.linspace(-90.0, 90.0, 361)))
    else:
        rays = ray_from_angles(np.deg2rad(np.linspace(-180.0, 180.0, 721)), np.deg2rad(pitch_deg or 0.0))
    col, row, _ = view.project(rays)
    near = (np.abs(col - 0.5) < 0.6) & (np.abs(row - 0.5) < 0.6)  # a little beyond, to reach the edge
    return np.where(near[:, None], np.stack([col, row], axis=-1), np.nan)


def _draw(picture: Picture, line: Float[np.ndarray, "n 2"], *, colour: tuple[int, int, int]) -> None:
    height, width = picture.shape[:2]
    seen = np.isfinite(line).all(axis=1)
    joined = seen[:-1] & seen[1:]
    places = np.where(seen[:, None], line * (width, height) - 0.5, 0.0)
    fixed = np.rint(places * 16.0).astype(np.int32)
    for index in np.flatnonzero(joined):
        start, stop = fixed[index].tolist(), fixed[index + 1].tolist()
        cv2.line(picture, start, stop, colour, 1, cv2.LINE_AA, 4)
