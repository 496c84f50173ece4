"""Put views back together as tensors, with gradients; the torch twin of `stitch` (same plan, same borders)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from panollava.errors import GeometryError
from panollava.geometry.cache import ByteCache
from panollava.geometry.stitch_plan import Blend, Piece, border_sources, check_blend, plan_pieces, spans
from panollava.geometry.view import check_pixels
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20

_plans: ByteCache[tuple[Piece, ...]] = ByteCache(limit_bytes=CACHE_BYTES)


def erp_from_views_torch(
    views: Sequence[Float[Tensor, "b c h w"]],
    layout: ViewLayout,
    *,
    height: int,
    width: int,
    blend: Blend = "owner",
    fill: float = 0.0,
) -> Float[Tensor, "b c height width"]:
    """Return the panoramas that the views of a layout show; the torch twin of `erp_from_views`.

    Gradients reach the views. Views are read as they are, with one bilinear tap a pixel.

    Raises:
        GeometryError: views that do not fit the layout or each other, an empty panorama, or an unknown blend.

    Example:
        >>> from panollava.geometry import cubemap
        >>> faces = cubemap(size_px=8)
        >>> erp_from_views_torch([torch.ones(2, 3, 8, 8)] * 6, faces, height=16, width=32).mean()
        tensor(1.)
    """
    check_pixels("height", height)
    check_pixels("width", width)
    check_blend(blend)
    _check(views, layout)
    pieces = _plans.get((layout, height, width, blend), build=lambda: _plan(layout, height, width, blend))
    first = views[0]
    pictures = [view if view.dtype == torch.float64 else view.float() for view in views]
    out = torch.full((*first.shape[:2], height, width), fill, dtype=pictures[0].dtype, device=first.device)
    for piece in pieces:
        read = _read(piece, layout, pictures)
        share = None if piece.weight is None else torch.from_numpy(piece.weight).to(read)
        for there, here in spans(piece.window, width):
            if share is None:
                out[(..., *there)] = read[..., here]
            elif blend == "owner":
                out[(..., *there)] = torch.where(share[:, here] > 0.0, read[..., here], out[(..., *there)])
            else:
                out[(..., *there)] += (read[..., here] - fill) * share[:, here]
    return out.to(first.dtype)


def _plan(layout: ViewLayout, height: int, width: int, blend: Blend) -> tuple[tuple[Piece, ...], int]:
    pieces = plan_pieces(layout, height=height, width=width, blend=blend)
    return pieces, sum(p.col_px.nbytes + p.row_px.nbytes + (0 if p.weight is None else p.weight.nbytes) for p in pieces)


def _check(views: Sequence[Tensor], layout: ViewLayout) -> None:
    if len(views) != len(layout.views):
        raise GeometryError(
            f"{len(views)} pictures for layout '{layout.name}' with {len(layout.views)} views; give one per view."
        )
    for picture, view in zip(views, layout.views, strict=True):
        wanted = (*views[0].shape[:2], view.height_px, view.width_px)
        if tuple(picture.shape) != wanted or not picture.is_floating_point() or picture.dtype != views[0].dtype:
            raise GeometryError(
                f"the picture of view '{view.name}' is {picture.dtype} of shape {tuple(picture.shape)}; it must be "
                f"floating point like the first, of shape {wanted}."
            )


def _read(piece: Piece, layout: ViewLayout, pictures: Sequence[Tensor]) -> Float[Tensor, "b c rows cols"]:
    """Return what a view shows on the pixels of its piece."""
    source = pictures[piece.index]
    places = torch.stack([torch.from_numpy(piece.col_px), torch.from_numpy(piece.row_px)], dim=-1).to(source)
    if piece.leaves_pixels(layout.views[piece.index]):
        source, places = _with_border(piece.index, layout, pictures), places + 1.0
    return _at(source, places)


def _with_border(index: int, layout: ViewLayout, pictures: Sequence[Tensor]) -> Tensor:
    padded = F.pad(pictures[index], (1, 1, 1, 1), mode="replicate")
    for other, frame, places in border_sources(layout, index):
        read = _at(pictures[other], torch.from_numpy(places).to(padded)[None])[:, :, 0]
        rows, cols = torch.from_numpy(frame).to(padded.device).unbind(dim=1)
        flat = (rows * padded.shape[-1] + cols).expand(*padded.shape[:2], -1)
        padded = padded.flatten(2).scatter(2, flat, read).reshape(padded.shape)
    return padded


def _at(picture: Float[Tensor, "b c h w"], places: Float[Tensor, "rows cols 2"]) -> Float[Tensor, "b c rows cols"]:
    """Return a picture at (column, row) places in its pixels; beyond its outermost centres it repeats them."""
    size = torch.tensor([picture.shape[-1], picture.shape[-2]]).to(picture)
    grid = ((places + 0.5) / size * 2.0 - 1.0).expand(len(picture), -1, -1, -1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
