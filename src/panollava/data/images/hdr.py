"""Radiance HDR, OpenEXR and float TIFF: linear light, shown through a named tone map.

OpenEXR needs the extra ``panollava[exr]``. Alpha in OpenEXR is premultiplied, so the colours already lie on black.
"""

import io
from types import ModuleType

import cv2
import numpy as np
from jaxtyping import Float
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from panollava.data.images.options import ImageOptions
from panollava.data.images.picture import Picture, decoded
from panollava.data.images.radiance import read_radiance, read_radiance_header
from panollava.data.images.tone_map import apply_tone_map, require_tone_map
from panollava.errors import DataError

_SAMPLE_FORMAT, _FLOAT = 339, 3
_WIDTH, _HEIGHT, _XMP = 256, 257, 700
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
_EXR_WIDTHS = {"RGB": 3, "RGBA": 3, "Y": 1}


def read_hdr(data: bytes, *, options: ImageOptions) -> Picture:
    """Read a Radiance file.

    Raises:
        DataError: No tone map is named, too large, damaged, or XYZ colours.
    """
    tone_map = require_tone_map(options.tone_map, what="a Radiance HDR file")
    header = read_radiance_header(data)
    options.check_size(header.width, header.height)
    return decoded(apply_tone_map(read_radiance(data, header), tone_map=tone_map))


def read_exr(data: bytes, *, options: ImageOptions) -> Picture:
    """Read the first part of an OpenEXR file.

    Raises:
        DataError: No tone map is named, the extra is not installed, too large, or not a flat RGB or Y picture.
        ValueError: Damaged (the OpenEXR library raises other types too).
    """
    tone_map = require_tone_map(options.tone_map, what="an OpenEXR file")
    library = _openexr()
    header = library.File(io.BytesIO(data), header_only=True).header()
    (left, top), (right, bottom) = (map(int, corner) for corner in header["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    options.check_size(width, height)
    shown = [list(map(int, corner)) for corner in header["displayWindow"]]
    if shown != [[left, top], [right, bottom]]:
        raise DataError(f"the data window {[[left, top], [right, bottom]]} is not the display window {shown}. "
                        "Export the whole panorama.")  # fmt: skip
    if header["type"] not in (library.scanlineimage, library.tiledimage):
        raise DataError("the OpenEXR file holds deep data. Export a flat picture.")
    channels = library.File(io.BytesIO(data)).channels()
    name = next((name for name in _EXR_WIDTHS if name in channels), None)
    if name is None:
        raise DataError(f"the OpenEXR file has the channels {', '.join(sorted(channels))}; R, G, B or Y are needed.")
    pixels = np.atleast_3d(channels[name].pixels)
    if pixels.shape[:2] != (height, width) or pixels.dtype.kind != "f":
        raise DataError(
            f"channel {name} has {pixels.shape} samples of {pixels.dtype}; {height} x {width} floats needed."
        )
    return decoded(apply_tone_map(_three(pixels[:, :, : _EXR_WIDTHS[name]]), tone_map=tone_map))


def _openexr() -> ModuleType:
    try:
        import OpenEXR
    except ImportError as error:
        raise DataError("OpenEXR files need an extra package: pip install 'panollava[exr]'.") from error
    return OpenEXR


def tiff_tags(data: bytes) -> ImageFileDirectory_v2:
    """Return the tags of a TIFF's first page.

    Raises:
        SyntaxError: Not a TIFF (Pillow's word).
        struct.error: The file ends inside its tags.
    """
    file = io.BytesIO(data)
    tags = ImageFileDirectory_v2(data[: 16 if data[2:4] in (b"+\0", b"\0+") else 8])
    file.seek(tags.next)
    tags.load(file)
    return tags


def is_float(tags: ImageFileDirectory_v2) -> bool:
    """Whether a TIFF's samples are floats."""
    return _FLOAT in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1))


def read_float_tiff(data: bytes, tags: ImageFileDirectory_v2, *, options: ImageOptions) -> Picture:
    """Read a TIFF of 32-bit floats, grey or RGB, with or without alpha.

    Raises:
        DataError: No tone map is named, too large, or of a layout that the decoder does not know.
        ValueError: The file ends before its pixels do.
    """
    tone_map = require_tone_map(options.tone_map, what="a float TIFF")
    options.check_size(int(tags[_WIDTH]), int(tags[_HEIGHT]))
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        ends = np.atleast_1d(tags.get(offsets, 0)) + np.atleast_1d(tags.get(counts, 0))
        if ends.max() > len(data):
            raise ValueError(f"pixels up to byte {ends.max()} of {len(data)}")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.float32:
        raise DataError("the float TIFF cannot be decoded: it is damaged, or not 32-bit grey or RGB. Export it again.")
    pixels = np.atleast_3d(pixels)
    colours = pixels[:, :, 2::-1] if pixels.shape[2] >= 3 else pixels[:, :, :1]
    if pixels.shape[2] in (2, 4):
        colours = colours * np.clip(pixels[:, :, -1:], 0, 1)  # on black
    # OpenCV has turned it upright
    return decoded(apply_tone_map(_three(colours), tone_map=tone_map), xmp=tags.get(_XMP))


def _three(pixels: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w 3"]:
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
