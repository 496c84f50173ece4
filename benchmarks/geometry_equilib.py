"""equilib on torch tensors. Its yaw grows to the left and its pitch downwards, in radians; roll has our sign.

Three documented ways to eight views of uint8 pixels: a loop, one batch of eight copies, the class. A fourth, kinder
than its documents: one conversion to float32, then a loop without clipping, which reads the whole picture at each view.
"""

import io
import math
from typing import Any

import numpy as np
import torch
from equilib import Equi2Pers, cube2equi, equi2cube, equi2pers, pers2equi
from geometry_scenes import Array, JpegTask, Shot, StitchTask
from PIL import Image
from torch import Tensor

torch.set_num_threads(1)
torch.set_grad_enabled(False)
LEVEL = {"roll": 0.0, "pitch": 0.0, "yaw": 0.0}
_classes: dict[tuple[int, float], Equi2Pers] = {}


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


def _rots(shots: tuple[Shot, ...]) -> list[dict[str, float]]:
    return [
        {"roll": math.radians(s.roll_deg), "pitch": -math.radians(s.pitch_deg), "yaw": -math.radians(s.yaw_deg)}
        for s in shots
    ]


def views(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views of an ERP, one call each."""
    return [
        equi2pers(erp, rot, height=s.size_px, width=s.size_px, fov_x=s.fov_deg)
        for s, rot in zip(shots, _rots(shots), strict=True)
    ]


def views_float(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views of an ERP converted once, without clipping."""
    once = erp.contiguous().float()
    return [
        equi2pers(once, rot, height=s.size_px, width=s.size_px, fov_x=s.fov_deg, clip_output=False)
        for s, rot in zip(shots, _rots(shots), strict=True)
    ]


def views_batch(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views of as many copies of an ERP."""
    copies, first = erp.expand(len(shots), -1, -1, -1), shots[0]
    return list(equi2pers(copies, _rots(shots), height=first.size_px, width=first.size_px, fov_x=first.fov_deg))


def views_class(erp: Tensor, shots: tuple[Shot, ...]) -> list[Tensor]:
    """Return the views of as many copies of an ERP, by the class, which keeps what does not depend on rotations."""
    first = shots[0]
    key = (first.size_px, first.fov_deg)
    if key not in _classes:
        _classes[key] = Equi2Pers(height=first.size_px, width=first.size_px, fov_x=first.fov_deg)
    return list(_classes[key](erp.expand(len(shots), -1, -1, -1), _rots(shots)))


def cube(erp: Tensor, size_px: int) -> Tensor:
    """Return the six faces side by side."""
    return equi2cube(erp, LEVEL, w_face=size_px, cube_format="horizon")


def uncube(faces: Tensor, height: int) -> Tensor:
    """Return the ERP of six faces."""
    return cube2equi(faces, cube_format="horizon", height=height, width=2 * height)


def stitch(pictures: list[Tensor], task: StitchTask) -> Tensor:
    """Return the ERP of views: each laid onto a black one, then the mean of those that are not black."""
    layers = pers2equi(
        torch.stack(pictures), _rots(task.shots), height=task.height, width=2 * task.height, fov_x=task.shots[0].fov_deg
    )
    seen = (layers.amax(dim=1, keepdim=True) > 0).sum(dim=0).clamp_(min=1)
    return layers.sum(dim=0) / seen


def _jpeg(data: bytes, task: JpegTask, render: Any) -> Tensor:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    whole = image.resize((task.size_px, task.size_px), Image.Resampling.BICUBIC)
    pictures = [*render(load(np.asarray(image)), task.shots), load(np.asarray(whole))]
    return torch.stack([picture.float() for picture in pictures]).div_(127.5).sub_(1.0)


def jpeg(data: bytes, task: JpegTask) -> Tensor:
    """Return normalised views, decoded by Pillow, rendered by the loop."""
    return _jpeg(data, task, views)


def jpeg_float(data: bytes, task: JpegTask) -> Tensor:
    """Return normalised views, decoded by Pillow, rendered by the kinder loop."""
    return _jpeg(data, task, views_float)


OPERATIONS = {
    "views": views,
    "views float": views_float,
    "views batch": views_batch,
    "views class": views_class,
    "cube": cube,
    "uncube": uncube,
    "stitch": stitch,
    "jpeg": jpeg,
    "jpeg float": jpeg_float,
}
