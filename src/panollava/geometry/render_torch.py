"""Render the views of a layout from a torch batch of ERPs, with gradients, on any device.

The picture is padded by one wrapped column on each side and one pole-continued row above and below, so
``grid_sample`` never meets a border. Grids are float32 (float64 for float64 input) and half precision input
is read in float32: a half precision grid cannot address a wide picture.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from panollava.errors import GeometryError
from panollava.geometry.cache import ByteCache
from panollava.geometry.sampling import (
    box_taps,
    half_size,
    halvings,
    uses_box,
    view_pixels,
    window_edges,
)
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20

_grids: ByteCache[Tensor] = ByteCache(limit_bytes=CACHE_BYTES)


def render_views_torch(
    erp: Float[Tensor, "b c height width"], layout: ViewLayout, *, antialias: bool = True
) -> list[Float[Tensor, "b c h w"]]:
    """Return the pictures of every view of a layout, in its order; the torch twin of `render_views`.

    Args:
        erp: floating point [B, C, H, W]; it spans 360 x 180 degrees.
        layout: the views.
        antialias: as in `render_views`.

    Returns:
        One [B, C, height_px, width_px] per view, in the type and on the device of the ERP.

    Raises:
        GeometryError: an ERP of another rank, or not floating point.

    Example:
        >>> from panollava.geometry import cubemap
        >>> render_views_torch(torch.zeros(2, 3, 64, 128), cubemap(size_px=16))[0].shape
        torch.Size([2, 3, 16, 16])
    """
    if erp.ndim != 4 or not erp.is_floating_point():
        raise GeometryError(
            f"the ERP is {erp.dtype} of shape {tuple(erp.shape)}; render_views_torch takes floating point "
            "(batch, channels, height, width). Render uint8 arrays with render_views."
        )
    levels = [erp if erp.dtype == torch.float64 else erp.float()]
    return [_render(levels, view, antialias=antialias).to(erp.dtype) for view in layout.views]


def pad_sphere(erp: Float[Tensor, "b c height width"]) -> Float[Tensor, "b c height+2 width+2"]:
    """Return the ERP with one more pixel on each side: columns wrap, rows go on half a turn past the pole."""
    rows = torch.cat([_half_turn(erp[:, :, :1]), erp, _half_turn(erp[:, :, -1:])], dim=2)
    return torch.cat([rows[..., -1:], rows, rows[..., :1]], dim=3)


def _half_turn(row: Tensor) -> Tensor:
    width = row.shape[-1]
    turned = row.roll(width // 2, dims=-1)
    return turned if width % 2 == 0 else (turned + row.roll(width // 2 + 1, dims=-1)) / 2.0


def _render(levels: list[Tensor], view: ViewSpec, *, antialias: bool) -> Tensor:
    height, width = levels[0].shape[-2:]
    if antialias and uses_box(view, height=height, width=width):
        top, bottom, left, right = window_edges(view, height=height, width=width)
        rows = _box(levels[0], -2, top, bottom, view.height_px)
        return _box(rows, -1, left, right, view.width_px)
    count = halvings(view, height=height, width=width) if antialias else 0
    while len(levels) <= count:
        levels.append(_halve(levels[-1]))
    erp = levels[count]
    return _sample(erp, view)


def _sample(erp: Tensor, view: ViewSpec) -> Tensor:
    height, width = erp.shape[-2:]
    key = (view, height, width, erp.dtype, erp.device)
    grid = _grids.get(key, build=lambda: _build_grid(view, erp))
    grid = grid.expand(erp.shape[0], -1, -1, -1)
    padded = pad_sphere(erp)
    return F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _build_grid(view: ViewSpec, erp: Tensor) -> tuple[Tensor, int]:
    """Return the places of the view's pixels in the padded picture, where -1 and 1 are its outer edges."""
    height, width = erp.shape[-2:]
    u, v = view_pixels(view, height=height, width=width)
    # one pixel of padding, then half a pixel from centre to edge
    across = torch.from_numpy((u + 1.5) / (width + 2) * 2.0 - 1.0)
    down = torch.from_numpy((v + 1.5) / (height + 2) * 2.0 - 1.0)
    grid = torch.stack([across, down], dim=-1)[None].to(erp.device, erp.dtype)
    return grid, grid.numel() * grid.element_size()


def _halve(erp: Tensor) -> Tensor:
    height, width = erp.shape[-2:]
    rows = _box(erp, -2, 0.0, height, half_size(height))
    return _box(rows, -1, 0.0, width, half_size(width))


def _box(erp: Tensor, dim: int, start: float, stop: float, count: int) -> Tensor:
    """Return the average of [start, stop) of one axis in ``count`` equal boxes; the axis wraps."""
    pixels, weights = box_taps(start, stop, count)
    index = torch.from_numpy(pixels % erp.shape[dim]).to(erp.device)
    shape = (-1, 1) if dim == -2 else (-1,)
    out = None
    for tap, weight in zip(index, torch.from_numpy(weights).to(erp.device, erp.dtype), strict=True):
        part = erp.index_select(dim, tap) * weight.reshape(shape)
        out = part if out is None else out + part
    if out is None:
        raise GeometryError(f"a box filter from {start} to {stop} has no pixels.")
    return out
