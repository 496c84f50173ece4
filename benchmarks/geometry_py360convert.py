"""py360convert with OpenCV, as it runs fastest; it keeps the maps of the eight last views.

Its signs are ours. The outermost samples of its views lie on the edge of the field of view.
"""

import io
from typing import Any

import cv2
import numpy as np
import py360convert
from geometry_scenes import Array, JpegTask, Shot
from PIL import Image
from py360convert import utils

cv2.setNumThreads(1)


def load(erp: Array) -> Array:
    """Return the picture as it is."""
    return erp


def export(out: Any) -> Any:
    """Return the result as it is."""
    return out


def forget() -> None:
    """Forget every map."""
    utils.EquirecSampler.from_perspective.cache_clear()
    utils.EquirecSampler.from_cubemap.cache_clear()
    utils.CubeFaceSampler.from_equirec.cache_clear()
    for cached in (utils.xyzcube, utils.equirect_uvgrid, utils.equirect_facetype):
        cached.cache_clear()


def views(erp: Array, shots: tuple[Shot, ...]) -> list[Array]:
    """Return the views of an ERP."""
    return [
        py360convert.e2p(erp, s.fov_deg, s.yaw_deg, s.pitch_deg, (s.size_px, s.size_px), in_rot_deg=s.roll_deg)
        for s in shots
    ]


def cube(erp: Array, size_px: int) -> list[Array]:
    """Return the six faces."""
    return py360convert.e2c(erp, face_w=size_px, cube_format="list")


def uncube(faces: list[Array], height: int) -> Array:
    """Return the ERP of six faces."""
    return py360convert.c2e(faces, height, 2 * height, cube_format="list")


def jpeg_pil(data: bytes, task: JpegTask) -> Array:
    """Return normalised views, decoded by Pillow, which shrinks the whole as image processors of encoders do."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    size = (task.size_px, task.size_px)
    whole = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    return _normalised([*views(np.asarray(image), task.shots), whole])


def jpeg_cv2(data: bytes, task: JpegTask) -> Array:
    """Return normalised views, decoded by OpenCV."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    erp = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    whole = cv2.resize(erp, (task.size_px, task.size_px), interpolation=cv2.INTER_AREA)
    return _normalised([*views(erp, task.shots), whole])


def _normalised(pictures: list[Array]) -> Array:
    out = np.empty((len(pictures), 3, *pictures[0].shape[:2]), np.float32)
    for place, picture in zip(out, pictures, strict=True):
        np.multiply(picture.transpose(2, 0, 1), np.float32(1.0 / 127.5), out=place)
    out -= 1.0
    return out


OPERATIONS = {"views": views, "cube": cube, "uncube": uncube, "jpeg pil": jpeg_pil, "jpeg cv2": jpeg_cv2}
