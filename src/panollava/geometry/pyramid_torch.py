"""One batch of ERPs at several sizes, as tensors with gradients; the torch twin of `pyramid`."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from panollava.errors import GeometryError
from panollava.geometry.antialias import polar_bands
from panollava.geometry.boxes import box_taps
from panollava.geometry.pyramid import half_size


class TensorPyramid:
    """ERPs, the same halved again and again, and either with their polar rows averaged.

    Args:
        erp: floating point [B, C, H, W].
    """

    def __init__(self, erp: Float[Tensor, "b c height width"]) -> None:
        self._levels = [erp]
        self._polar: dict[int, Tensor] = {}

    def level(self, count: int) -> Float[Tensor, "b c h w"]:
        """Return the ERPs halved ``count`` times, by averages of 2 x 2 pixels."""
        while len(self._levels) <= count:
            self._levels.append(_halve(self._levels[-1]))
        return self._levels[count]

    def polar(self, count: int) -> Float[Tensor, "b c h w"]:
        """Return level ``count`` with the rows near the poles averaged along the row."""
        if count not in self._polar:
            self._polar[count] = average_polar_rows_torch(self.level(count))
        return self._polar[count]


def pad_sphere(erp: Float[Tensor, "b c height width"]) -> Float[Tensor, "b c height+2 width+2"]:
    """Return the ERP with one more pixel on each side: columns wrap, rows go on half a turn past the pole."""
    rows = torch.cat([_half_turn(erp[:, :, :1]), erp, _half_turn(erp[:, :, -1:])], dim=2)
    return torch.cat([rows[..., -1:], rows, rows[..., :1]], dim=3)


def average_polar_rows_torch(erp: Float[Tensor, "b c height width"]) -> Float[Tensor, "b c height width"]:
    """Return the ERPs with rows above pitch 60 and below -60 averaged over 1 / cos(pitch) columns, which wrap."""
    height, width = erp.shape[-2:]
    north, south = [], []
    done = 0
    for first, last, span in polar_bands(height, limit=width):
        north.append(_average(erp[..., first:last, :], span))
        south.append(_average(erp[..., height - last : height - first, :], span))
        done = last
    return torch.cat([*north, erp[..., done : height - done, :], *reversed(south)], dim=-2)


def box(erp: Float[Tensor, "b c h w"], dim: int, start: float, stop: float, count: int) -> Float[Tensor, "b c h2 w2"]:
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


def _halve(erp: Tensor) -> Tensor:
    height, width = erp.shape[-2:]
    if height % 2 == 0 and width % 2 == 0:
        return F.avg_pool2d(erp, 2)
    rows = box(erp, -2, 0.0, height, half_size(height))
    return box(rows, -1, 0.0, width, half_size(width))


def _average(rows: Tensor, span: int) -> Tensor:
    """Return the mean over an odd number of columns around each, which wrap."""
    side = span // 2
    wide = torch.cat([rows[..., -side:], rows, rows[..., :side]], dim=-1)
    return F.avg_pool2d(wide, (1, span), stride=1)


def _half_turn(row: Tensor) -> Tensor:
    width = row.shape[-1]
    turned = row.roll(width // 2, dims=-1)
    return turned if width % 2 == 0 else (turned + row.roll(width // 2 + 1, dims=-1)) / 2.0
