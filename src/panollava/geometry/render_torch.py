"""Render views and turn panoramas as torch tensors: batched, on any device, differentiable in picture and angles.

The picture is padded by one wrapped column on each side and one pole-continued row above and below, so
``grid_sample`` never meets a border. Grids are float32 (float64 for float64 input) and half precision input
is read in float32: a half precision grid cannot address a wide picture, and torch's own CPU ``grid_sample`` in half
precision reads memory that is not its own.
"""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from panollava.errors import GeometryError
from panollava.geometry.angles_torch import check_rotation_torch, erp_pixel_from_ray_torch, view_rays_torch
from panollava.geometry.antialias import Antialias, check_antialias, halvings, polar_rows, supersampling
from panollava.geometry.boxes import box_halvings, uses_box, window_edges
from panollava.geometry.cache import ByteCache
from panollava.geometry.pyramid_torch import TensorPyramid, box, pad_sphere
from panollava.geometry.render import render_views
from panollava.geometry.sampling import view_pixels
from panollava.geometry.view import ViewSpec
from panollava.geometry.view_layout import ViewLayout

CACHE_BYTES = 256 * 2**20

_grids: ByteCache[Tensor] = ByteCache(limit_bytes=CACHE_BYTES)


def render_views_torch(
    erp: Shaped[Tensor, "b c height width"],
    layout: ViewLayout,
    *,
    antialias: Antialias = "fast",
    rotation: Float[Tensor, "*b 3 3"] | None = None,
) -> list[Shaped[Tensor, "b c h w"]]:
    """Return the pictures of every view of a layout, in its order; the torch twin of `render_views`.

    Args:
        erp: floating point or u8 [B, C, H, W]; it spans 360 x 180 degrees. u8 on a CPU is rendered by
            `render_views`, and so must have 1, 3 or 4 channels.
        layout: the views.
        antialias: as in `render_views`.
        rotation: turns the whole rig of cameras before it looks, [3, 3] or one per picture: a view sees along
            ``rotation @ d`` what it would see along d. Gradients reach it. Perspective views only.

    Returns:
        One [B, C, height_px, width_px] per view, in the type and on the device of the ERP.

    Raises:
        GeometryError: an ERP of another rank or type, no rotation, or a rotated ERP window.

    Example:
        >>> from panollava.geometry import cubemap
        >>> render_views_torch(torch.zeros(2, 3, 64, 128), cubemap(size_px=16))[0].shape
        torch.Size([2, 3, 16, 16])
    """
    check_antialias(antialias)
    if erp.ndim != 4 or not (erp.is_floating_point() or erp.dtype == torch.uint8):
        raise GeometryError(
            f"the ERP is {erp.dtype} of shape {tuple(erp.shape)}; give floating point or uint8 "
            "(batch, channels, height, width)."
        )
    if erp.dtype == torch.uint8 and erp.device.type == "cpu" and rotation is None:
        return _render_bytes(erp, layout, antialias=antialias)
    turn = None if rotation is None else check_rotation_torch(rotation, batch=len(erp))
    pyramid = TensorPyramid(erp if erp.dtype == torch.float64 else erp.float())
    rendered = [_render(pyramid, view, antialias=antialias, turn=turn) for view in layout.views]
    return [as_type(picture, erp.dtype) for picture in rendered]


def rotate_erp_torch(
    erp: Float[Tensor, "b c height width"], rotation: Float[Tensor, "*b 3 3"]
) -> Float[Tensor, "b c height width"]:
    """Return the panoramas that cameras turned by ``rotation`` record; the torch twin of `rotate_erp`.

    Gradients reach the picture and the rotation.

    Raises:
        GeometryError: an ERP of another rank or type, or no rotation.

    Example:
        >>> erp = torch.arange(32.0).reshape(1, 1, 4, 8)
        >>> turned = rotate_erp_torch(erp, torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))
        >>> turned[0, 0, 0].round().tolist()
        [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 1.0]
    """
    if erp.ndim != 4 or not erp.is_floating_point():
        raise GeometryError(
            f"the ERP is {erp.dtype} of shape {tuple(erp.shape)}; rotate_erp_torch takes floating point "
            "(batch, channels, height, width). Turn uint8 arrays with rotate_erp."
        )
    height, width = erp.shape[-2:]
    turn = check_rotation_torch(rotation, batch=len(erp))
    source = erp if erp.dtype == torch.float64 else erp.float()
    whole = ViewSpec.window("whole", height_px=height, width_px=width)
    return as_type(_sample_turned(source, whole, turn), erp.dtype)


def sample_places(
    padded: Float[Tensor, "b c height+2 width+2"],
    across: Float[Tensor, "b h w"],
    down: Float[Tensor, "b h w"],
) -> Float[Tensor, "b c h w"]:
    """Return the picture at fractional places (column, row), given before its padding by one pixel all around."""
    return F.grid_sample(
        padded, _grid(padded, across, down), mode="bilinear", padding_mode="border", align_corners=False
    )


def as_type(picture: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a float picture in another type; bytes are rounded, never cut off."""
    return picture.round().clamp(0, 255).to(dtype) if dtype == torch.uint8 else picture.to(dtype)


def _grid(padded: Tensor, across: Tensor, down: Tensor) -> Float[Tensor, "b h w 2"]:
    """Return places in a padded picture, where -1 and 1 are its outer edges."""
    height, width = padded.shape[-2:]
    # one pixel of padding, then half a pixel from centre to edge
    return torch.stack([(across + 1.5) / width * 2.0 - 1.0, (down + 1.5) / height * 2.0 - 1.0], dim=-1)


def _render_bytes(erp: Tensor, layout: ViewLayout, *, antialias: Antialias) -> list[Tensor]:
    pictures = [render_views(one, layout, antialias=antialias) for one in erp.permute(0, 2, 3, 1).numpy()]
    return [
        torch.from_numpy(np.stack([one[i] for one in pictures])).permute(0, 3, 1, 2).contiguous()
        for i in range(len(layout.views))
    ]


def _render(pyramid: TensorPyramid, view: ViewSpec, *, antialias: Antialias, turn: Tensor | None) -> Tensor:
    height, width = pyramid.level(0).shape[-2:]
    if turn is not None and view.kind == "erp":
        raise GeometryError(f"view '{view.name}' is a window of the ERP; only perspective views can be turned.")
    if antialias != "none" and uses_box(view, height=height, width=width):
        level = pyramid.level(box_halvings(view, height=height, width=width, antialias=antialias))
        top, bottom, left, right = window_edges(view, height=level.shape[-2], width=level.shape[-1])
        rows = box(level, -2, top, bottom, view.height_px)
        return box(rows, -1, left, right, view.width_px)
    count = halvings(view, height=height, width=width, antialias=antialias)
    times = supersampling(view, height=height, width=width, antialias=antialias)
    finer = replace(view, height_px=times * view.height_px, width_px=times * view.width_px)
    fine = _sample(pyramid, finer, count, polar=antialias != "none", turn=turn)
    return fine if times == 1 else F.avg_pool2d(fine, times)


def _sample(pyramid: TensorPyramid, view: ViewSpec, count: int, *, polar: bool, turn: Tensor | None) -> Tensor:
    level = pyramid.level(count)
    if turn is not None:
        return _sample_turned(pyramid.polar(count) if polar else level, view, turn)
    height, width = level.shape[-2:]
    grid = _grids.get((view, height, width, level.dtype, level.device), build=lambda: _build_grid(view, level))
    if polar and _sees_pole(grid, height):
        level = pyramid.polar(count)
    grid = grid.expand(level.shape[0], -1, -1, -1)
    return F.grid_sample(pad_sphere(level), grid, mode="bilinear", padding_mode="border", align_corners=False)


def _sample_turned(erp: Tensor, view: ViewSpec, turn: Float[Tensor, "b 3 3"]) -> Tensor:
    rays = torch.einsum("bij,hwj->bhwi", turn.to(erp), view_rays_torch(view, like=erp))
    u, v = erp_pixel_from_ray_torch(rays, height=erp.shape[-2], width=erp.shape[-1])
    return sample_places(pad_sphere(erp), u, v)


def _build_grid(view: ViewSpec, erp: Tensor) -> tuple[Tensor, int]:
    height, width = erp.shape[-2:]
    u, v = np.broadcast_arrays(*view_pixels(view, height=height, width=width))
    across, down = torch.from_numpy(np.mod(u + 0.5, width) - 0.5), torch.from_numpy(np.ascontiguousarray(v))
    padded = torch.empty(1, 1, height + 2, width + 2, device="meta")
    grid = _grid(padded, across, down)[None].to(erp.device, erp.dtype)
    return grid, grid.numel() * grid.element_size()


def _sees_pole(grid: Tensor, height: int) -> bool:
    """Whether a cached grid reads the rows that `average_polar_rows` changes; the rule of the OpenCV renderer."""
    v = (grid[..., 1].detach() + 1.0) / 2.0 * (height + 2) - 1.5
    rows = polar_rows(height)
    return bool(v.min().floor() < rows or v.max().floor() + 2 > height - rows)
