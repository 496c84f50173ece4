"""pytorch360convert. Its signs are py360convert's; it takes no uint8, so a conversion to float32 is part of a call."""

import io
from typing import Any

import numpy as np
import torch
from geometry_scenes import Array, JpegTask, Shot
from PIL import Image
from pytorch360convert import c2e, e2c, e2p
from torch import Tensor

torch.set_num_threads(1)
torch.set_grad_enabled(False)


def load(erp: Array) -> Tensor:
    """Return the picture as 3 x height x width, not copied."""
    return torch.from_numpy(np.array(erp)).permute(2, 0, 1)


def export(out: Any) -> Any:
    """Return pictures as height x width x 3; what is made for a model, as it is."""
    if isinstance(out, Tensor) and out.ndim == 4:
        return out.numpy()
    pictures = [picture.permute(1, 2, 0).contiguous().numpy() for picture in (out if isinstance(out, list) else [out])]
    return pictures if isinstance(out, list) else pictures[0]


def forget() -> None:
    """Do nothing: no map is kept between calls."""


def views(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views of an ERP, float32."""
    once = erp.float()
    return [
        e2p(once, s.fov_deg, s.yaw_deg, s.pitch_deg, out_hw=(s.size_px, s.size_px), in_rot_deg=s.roll_deg)
        for s in shots
    ]


def cube(erp: Tensor, size_px: int) -> list[Tensor]:
    """Return the six faces, float32."""
    return e2c(erp.float(), face_w=size_px, cube_format="list")


def uncube(faces: list[Tensor], height: int) -> Tensor:
    """Return the ERP of six faces, float32."""
    return c2e(faces, h=height, w=2 * height, cube_format="list")


def jpeg(data: bytes, task: JpegTask) -> Tensor:
    """Return normalised views, decoded by Pillow."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    whole = image.resize((task.size_px, task.size_px), Image.Resampling.BICUBIC)
    pictures = [*views(load(np.asarray(image)), task.shots), load(np.asarray(whole)).float()]
    return torch.stack(pictures).div_(127.5).sub_(1.0)


OPERATIONS = {"views": views, "cube": cube, "uncube": uncube, "jpeg": jpeg}
