"""Put views back together into a panorama: cube maps to ERP, the views of a ring to a band, any layout.

    views -> (halved while far finer than the ERP) -> one pixel of border from their neighbours
          -> cv2.remap into the window of each -> owner's pixels, or the weighted mean -> ERP

What no view sees is left at a fill value; `erp_coverage` says what that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Shaped

from panollava.errors import GeometryError
from panollava.geometry.cache import ByteCache
from panollava.geometry.erp_pixels import check_erp
from panollava.geometry.stitch_plan import Blend, Piece, border_sources, check_blend, plan_pieces, spans, stitched_views
from panollava.geometry.view import check_pixels
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20
# a view this much finer than the ERP would alias at one tap a pixel
_MAX_MINIFICATION = 3.0

Picture = Shaped[np.ndarray, "_ _ channels"]
Border = tuple[int, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Patch:
    """One piece with its maps in cv2's form: 1/32 pixels for u8, exact places for f32."""

    piece: Piece
    maps: tuple[np.ndarray, np.ndarray]
    mask: np.ndarray | None
    borders: tuple[Border, ...] | None

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        mask = 0 if self.mask is None else self.mask.nbytes
        weight = 0 if self.piece.weight is None else self.piece.weight.nbytes
        return sum(m.nbytes for m in self.maps) + mask + weight


_patches: ByteCache[tuple[_Patch, ...]] = ByteCache(limit_bytes=CACHE_BYTES)


def erp_from_views(
    views: Sequence[Picture],
    layout: ViewLayout,
    *,
    height: int,
    width: int,
    blend: Blend = "owner",
    fill: int = 0,
) -> Picture:
    """Return the panorama that the views of a layout show, the inverse of `render_views`.

    Args:
        views: the pictures in the order of the layout, all u8 or all f32, [h, w, C] or all [h, w].
        layout: the views they were rendered with. The global view is used only where it is alone.
        height: rows of the panorama.
        width: its columns; it spans 360 x 180 degrees.
        blend: ``owner`` takes every pixel from the view in whose middle it lies deepest, which is sharp;
            ``feather`` averages all that see it, weighted by how deep it lies, which hides differences of exposure.
        fill: value of what no view sees.

    Returns:
        The panorama [height, width, C] of the views' type.

    Raises:
        GeometryError: views that do not fit the layout or each other, an empty panorama, or an unknown blend.

    Example:
        >>> from panollava.geometry import cubemap, render_views
        >>> erp, faces = np.full((64, 128, 3), 9, np.uint8), cubemap(size_px=32)
        >>> bool((erp_from_views(render_views(erp, faces), faces, height=64, width=128) == 9).all())
        True
    """
    check_pixels("height", height)
    check_pixels("width", width)
    check_blend(blend)
    pictures = _checked(views, layout)
    exact = pictures[0].dtype != np.uint8
    smaller, pictures = _shrunk(layout, pictures, width=width)
    patches = _patches.get(
        (smaller, height, width, blend, exact),
        build=lambda: _build(smaller, height=height, width=width, blend=blend, exact=exact),
    )
    out = np.full((height, width, pictures[0].shape[2]), fill, pictures[0].dtype)
    if blend == "owner":
        for patch in patches:
            _paste(out, patch, _source(patch, pictures))
    else:
        _mix(out, patches, pictures)
    return out if views[0].ndim == 3 else out[..., 0]


def clear_plans() -> None:
    """Forget every plan of a layout that is kept."""
    _patches.clear()


def erp_coverage(layout: ViewLayout, *, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Return which pixels of a panorama some view of the layout sees.

    Example:
        >>> from panollava.geometry import cubemap
        >>> bool(erp_coverage(cubemap(), height=32, width=64).all())
        True
    """
    seen = np.zeros((height, width), bool)
    for piece in plan_pieces(layout, height=height, width=width, blend="owner"):
        for there, here in spans(piece.window, width):
            seen[there] |= True if piece.weight is None else piece.weight[:, here] > 0.0
    return seen


def _checked(views: Sequence[Picture], layout: ViewLayout) -> list[Picture]:
    if len(views) != len(layout.views):
        raise GeometryError(
            f"{len(views)} pictures for layout '{layout.name}' with {len(layout.views)} views; give one per view."
        )
    for picture, view in zip(views, layout.views, strict=True):
        check_erp(picture)
        if picture.shape[:2] != (view.height_px, view.width_px):
            raise GeometryError(
                f"the picture of view '{view.name}' is {picture.shape[0]} x {picture.shape[1]} (height x width); "
                f"the layout says {view.height_px} x {view.width_px}."
            )
        if picture.dtype != views[0].dtype or picture.shape[2:] != views[0].shape[2:]:
            raise GeometryError(
                f"the picture of view '{view.name}' is {picture.dtype} with channels {picture.shape[2:]}, the first is "
                f"{views[0].dtype} with {views[0].shape[2:]}; all views must be alike."
            )
    return [np.ascontiguousarray(picture.reshape(*picture.shape[:2], -1)) for picture in views]


def _shrunk(layout: ViewLayout, pictures: list[Picture], *, width: int) -> tuple[ViewLayout, list[Picture]]:
    """Return layout and pictures with every view halved while it is far finer than the ERP."""
    specs, smaller = list(layout.views), list(pictures)
    for index, view in enumerate(layout.views):
        ratio = view.pixels_per_degree * 360.0 / width
        while ratio >= _MAX_MINIFICATION and min(specs[index].height_px, specs[index].width_px) > 1:
            ratio /= 2.0
            size = (max(1, (specs[index].width_px + 1) // 2), max(1, (specs[index].height_px + 1) // 2))
            halved = cv2.resize(smaller[index], size, interpolation=cv2.INTER_AREA)
            smaller[index] = halved.reshape(size[1], size[0], -1)
            specs[index] = replace(specs[index], height_px=size[1], width_px=size[0])
    return ViewLayout(tuple(specs), layout.name, layout.ring_indices), smaller


def _build(layout: ViewLayout, *, height: int, width: int, blend: Blend, exact: bool) -> tuple[tuple[_Patch, ...], int]:
    patches, shared = [], {}
    for piece in plan_pieces(layout, height=height, width=width, blend=blend):
        bordered = piece.leaves_pixels(layout.views[piece.index])
        key = (id(piece.col_px), bordered)
        if key not in shared:
            across, down = piece.col_px + np.float32(bordered), piece.row_px + np.float32(bordered)
            shared[key] = (across, down) if exact else cv2.convertMaps(across, down, cv2.CV_16SC2)
        borders = border_sources(layout, piece.index) if bordered else None
        mask = (piece.weight > 0.0).view(np.uint8) if blend == "owner" and piece.weight is not None else None
        weight = piece.weight if blend == "feather" else None
        patches.append(_Patch(replace(piece, weight=weight), shared[key], mask, borders))
    # the maps hold the places from here on
    nothing = np.zeros((0, 0), np.float32)
    kept = tuple(replace(p, piece=replace(p.piece, col_px=nothing, row_px=nothing)) for p in patches)
    return kept, sum(patch.nbytes for patch in kept)


def _source(patch: _Patch, pictures: Sequence[Picture]) -> Picture:
    """Return the view's picture, with a border from its neighbours where the patch reads beyond its pixels."""
    picture = pictures[patch.piece.index]
    if patch.borders is None:
        return picture
    padded = cv2.copyMakeBorder(picture, 1, 1, 1, 1, cv2.BORDER_REPLICATE).reshape(
        picture.shape[0] + 2, picture.shape[1] + 2, -1
    )
    for other, frame, places in patch.borders:
        line = np.ascontiguousarray(places[None])
        read = cv2.remap(pictures[other], line, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        padded[frame[:, 0], frame[:, 1]] = read.reshape(len(frame), -1)
    return padded


def _paste(out: Picture, patch: _Patch, source: Picture) -> None:
    window = patch.piece.window
    read = cv2.remap(source, *patch.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    read = read.reshape(window.rows, window.cols, -1)
    for there, here in spans(window, out.shape[1]):
        if patch.mask is None:
            out[there] = read[:, here]
        else:
            cv2.copyTo(read[:, here], patch.mask[:, here], out[there])


def _mix(out: Picture, patches: Sequence[_Patch], pictures: Sequence[Picture]) -> None:
    total = np.zeros(out.shape, np.float32)
    seen = np.zeros(out.shape[:2], bool)
    for patch in patches:
        window, weight = patch.piece.window, patch.piece.weight
        read = cv2.remap(_source(patch, pictures), *patch.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        read = read.reshape(window.rows, window.cols, -1)
        for there, here in spans(window, out.shape[1]):
            share = np.float32(1.0) if weight is None else weight[:, here, None]
            total[there] += read[:, here] * share
            seen[there] |= True if weight is None else weight[:, here] > 0.0
    mixed = np.rint(total) if out.dtype == np.uint8 else total
    np.copyto(out, mixed.astype(out.dtype), where=seen[..., None])


__all__ = ["Blend", "erp_coverage", "erp_from_views", "stitched_views"]
