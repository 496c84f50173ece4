"""panollava's torch path: `geometry.render_torch.render_views_torch`, float32."""

from typing import Any

import numpy as np
import torch
from geometry_ours import layout_of
from geometry_scenes import Array, Shot
from torch import Tensor

from panollava.geometry.render_torch import render_views_torch

torch.set_num_threads(1)
torch.set_grad_enabled(False)


def load(erp: Array) -> Tensor:
    """Return the picture as 1 x 3 x height x width, float32."""
    return torch.from_numpy(np.array(erp)).permute(2, 0, 1)[None].float().contiguous()


def export(out: Any) -> Any:
    """Return pictures as height x width x 3."""
    return [picture[0].permute(1, 2, 0).contiguous().numpy() for picture in out]


def forget() -> None:
    """Do nothing: it is only measured warm."""


def views(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views, one bilinear tap per pixel."""
    return render_views_torch(erp, layout_of(shots), antialias="none")


OPERATIONS = {"views": views}
