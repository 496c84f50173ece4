"""Open a panorama file: whole, upright, level, 8-bit RGB, 2:1, or an error that says why not.

    limits -> header -> decode (JPEG: at 1/k) -> upright -> RGB -> place on the sphere -> level

JPEG goes through libjpeg-turbo, everything else through Pillow; pixels are equal where both can.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile

from panollava.data.images import jpeg
from panollava.data.images.gpano import level, parse_gpano
from panollava.data.images.hdr import is_float, read_exr, read_float_tiff, read_hdr, tiff_tags
from panollava.data.images.options import MAX_BYTES, MAX_PIXELS, ImageOptions, Pose, ToneMap
from panollava.data.images.picture import DCT_SCALES, Picture
from panollava.data.images.placement import place
from panollava.data.images.raster import read_raster
from panollava.data.images.upright import read_orientation, upright
from panollava.errors import DataError

_HEAD_BYTES = 16
# What the decoders raise on damaged files; `SyntaxError` is Pillow's word for a broken header or chunk.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def open_panorama(
    source: str | Path | bytes,
    *,
    min_width: int | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    pad: bool = False,
    assume_full: bool = False,
    tone_map: ToneMap | None = None,
    pose: Pose = "level",
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a panorama's pixels, upright, as contiguous, writable 8-bit RGB.

    Args:
        source: A JPEG, PNG, WebP, TIFF, BMP, Radiance HDR or OpenEXR file, told by its first bytes and not by its
            suffix; or the bytes of one.
        min_width: A JPEG is decoded at 1/8, 1/4 or 1/2 where the panorama stays at least this wide; None: full size.
        max_pixels: Largest width x height; read from the header, before any pixel is decoded.
        max_bytes: Largest file; asked before it is read.
        pad: Pad a picture that is not 2:1 with black, centred, at the density of its longer extent.
        assume_full: Accept any shape as the whole sphere, 360 x 180 degrees, instead of asking for width = 2
            x height (one row of rounding is always accepted). Tags of a crop are then ignored.
        tone_map: How linear light (Radiance HDR, OpenEXR, float TIFF) becomes 8 bits; None refuses such files.
        pose: What to undo of the camera's pose in GPano tags: ``level`` pitch and roll, ``north`` the heading too,
            ``ignore`` nothing.

    Returns:
        The pixels, (h, w, 3); row 0 is the zenith, column w/2 the front.

    Raises:
        DataError: The file is absent, no image, truncated, damaged, too large, animated, of a colour mode
            without an agreed conversion, not 2:1, or its GPano tags contradict it.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (64, 32)).save(file, "JPEG")
        >>> open_panorama(file.getvalue(), min_width=30).shape
        (16, 32, 3)
    """
    options = ImageOptions(max_pixels, max_bytes, pad, assume_full, tone_map, pose)
    return open_with_options(source, min_width=min_width, options=options)


def open_with_options(
    source: str | Path | bytes, *, min_width: int | None = None, options: ImageOptions
) -> UInt8[np.ndarray, "h w 3"]:
    """Return what `open_panorama` returns, with the options as one value."""
    name = "<bytes>" if isinstance(source, bytes) else str(source)
    try:
        return _open(_read(source, options=options), min_width=min_width, options=options)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error.__cause__


def _read(source: str | Path | bytes, *, options: ImageOptions) -> bytes:
    """Return the file's bytes; nothing is read of one that is too large or no image."""
    if isinstance(source, bytes):
        _check_bytes(len(source), options)
        return source
    try:
        with Path(source).open("rb") as file:
            _check_bytes(os.fstat(file.fileno()).st_size, options)
            _kind(file.read(_HEAD_BYTES))
            file.seek(0)
            return file.read()
    except OSError as error:
        raise DataError(f"the image cannot be read ({error.strerror or error}). Check the path.") from error


def _check_bytes(size: int, options: ImageOptions) -> None:
    if size > options.max_bytes:
        raise DataError(
            f"the file has {size} bytes, more than max_bytes={options.max_bytes}. Scale the image down or raise "
            "max_bytes."
        )


def _open(data: bytes, *, min_width: int | None, options: ImageOptions) -> UInt8[np.ndarray, "h w 3"]:
    """Decode, place and level; what cannot be whole is an error."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True, so a damaged file would pass as a partial image. Set it "
            "to False."
        )
    with _damage_is_told():
        picture = _picture(data, options=options)
    gpano = parse_gpano(picture.xmp)
    placement = place(picture.width, picture.height, gpano.crop, options=options)
    scale = placement.scale(picture.scales, min_width=min_width)
    with _damage_is_told():
        pixels = picture.decode(scale)
    return level(placement.apply(pixels, scale=scale), gpano, pose=options.pose)


@contextmanager
def _damage_is_told() -> Iterator[None]:
    """Turn a decoder's complaint into a DataError."""
    try:
        yield
    except DataError:  # also a ValueError
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"the image is too large for its decoder ({error}). Scale it down.") from error
    except _DAMAGE as error:
        raise DataError(
            f"the image is truncated or damaged ({error}). Fetch or export it again; a partial panorama is never used."
        ) from error


def _kind(head: bytes) -> str:
    """Return the format that a file's first bytes tell."""
    marks = {
        b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"#?": "HDR", b"\x76\x2f\x31\x01": "EXR",
        b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    }  # fmt: skip
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    kind = next((kind for mark, kind in marks.items() if head.startswith(mark)), None)
    if kind is None:
        raise DataError(
            "not a JPEG, PNG, WebP, TIFF, BMP, Radiance HDR or OpenEXR image (it starts with "
            f"{head[:_HEAD_BYTES]!r}). Convert it, or fetch it again if a download failed."
        )
    return kind


def _picture(data: bytes, *, options: ImageOptions) -> Picture:
    """Choose the reader."""
    kind = _kind(data[:_HEAD_BYTES])
    if kind == "JPEG":
        return _jpeg(data, options=options)
    if kind == "HDR":
        return read_hdr(data, options=options)
    if kind == "EXR":
        return read_exr(data, options=options)
    if kind == "TIFF" and is_float(tags := tiff_tags(data)):
        return read_float_tiff(data, tags, options=options)
    return read_raster(kind, data, options=options)


def _jpeg(data: bytes, *, options: ImageOptions) -> Picture:
    """Return a JPEG that is not decoded yet, or one that Pillow has decoded."""
    header = jpeg.read_header(data)
    options.check_size(header.width, header.height)
    if not header.fast:
        return read_raster("JPEG", data, options=options)
    orientation = read_orientation(exif=header.exif, xmp=header.xmp)
    size = (header.height, header.width) if orientation >= 5 else (header.width, header.height)

    def decode(scale: int) -> UInt8[np.ndarray, "h w 3"]:
        stored = jpeg.decode(data, header, scale=scale)
        if stored is None:
            return read_raster("JPEG", data, options=options).decode(1)
        return upright(stored, orientation=orientation)

    return Picture(*size, header.xmp, decode, DCT_SCALES)
