"""Open a panorama file: whole, upright, 8-bit RGB, 2:1, or an error that says why not.

    header -> pixel limit -> decode -> EXIF orientation -> RGB -> 2:1

Colour: greyscale, palette, CMYK and 16-bit images become 8-bit RGB. Embedded ICC profiles are not applied.
16-bit samples keep their high byte (what Pillow does for 16-bit colour PNG, so grey and colour agree).
Transparent pixels are composited on black: a hole in a panorama, such as a masked tripod, is a place without
light. Of a TIFF with several pages the first is read, which is the full resolution of a pyramid.

Pillow decodes everything. OpenCV gives the same pixels for sound JPEG files, faster, but for some damaged
ones, which Pillow refuses, it returns a partly grey image and no error.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from panollava.errors import DataError

MAX_PIXELS = 200_000_000
_ORIENTATION_TAG = 0x0112
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_OPAQUE_BLACK = (0, 0, 0, 255)

# The classes are called directly: `Image.open` has a pixel limit of its own, global to the process.
_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes]], ImageFile.ImageFile]], ...] = (
    (lambda head: head.startswith(b"\xff\xd8\xff"), JpegImageFile),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), PngImageFile),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", WebPImageFile),
    (lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
    (lambda head: head.startswith(b"BM"), BmpImageFile),
)
# What Pillow's readers raise on damaged files; `SyntaxError` is its word for a broken header or chunk.
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
    path: str | Path, *, max_pixels: int = MAX_PIXELS, assume_full: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a panorama's pixels, upright, as contiguous, writable 8-bit RGB.

    Args:
        path: A JPEG, PNG, WebP, TIFF or BMP file, told by its first bytes and not by its suffix.
        max_pixels: Largest width x height; read from the header, before any pixel is decoded.
        assume_full: Accept any shape as the whole sphere, 360 x 180 degrees, instead of asking for width = 2
            x height (one row of rounding is always accepted).

    Returns:
        The pixels, (h, w, 3); row 0 is the zenith, column w/2 the front.

    Raises:
        DataError: The file is absent, no image, truncated, damaged, too large, animated, of a colour mode
            without an agreed conversion, or not 2:1.
    """
    path = Path(path)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise DataError(
            f"{path}: PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True, so a damaged file would pass as a "
            "partial image. Set it to False."
        )
    try:
        with path.open("rb") as file:
            pixels = _read(path, file, max_pixels)
    except OSError as error:
        raise DataError(f"{path}: the image cannot be read ({error.strerror or error}). Check the path.") from error
    _check_shape(path, pixels, assume_full=assume_full)
    return pixels


def _read(path: Path, file: IO[bytes], max_pixels: int) -> UInt8[np.ndarray, "h w 3"]:
    """Check the header, decode, convert, turn upright; a decoder's complaint becomes a DataError."""
    try:
        image = _open_header(path, file, max_pixels)
        orientation = _orientation(image)
        image.load()
        pixels = _rgb(path, image)
    except DataError:  # also a ValueError
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: the image is too large for its decoder ({error}). Scale it down.") from error
    except _DAMAGE as error:
        raise DataError(
            f"{path}: the image is truncated or damaged ({error}). Fetch or export it again; a partial "
            "panorama is never used."
        ) from error
    return upright(pixels, orientation=orientation)


def _open_header(path: Path, file: IO[bytes], max_pixels: int) -> ImageFile.ImageFile:
    """Choose the reader by the first bytes, read the header, and check size and frames."""
    head = file.read(16)
    file.seek(0)
    reader = next((reader for accepts, reader in _READERS if accepts(head)), None)
    if reader is None:
        raise DataError(
            f"{path}: not a JPEG, PNG, WebP, TIFF or BMP image (it starts with {head!r}). Convert it, or "
            "fetch it again if a download failed."
        )
    image = reader(file)
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{path}: {width} x {height} = {width * height} pixels, more than max_pixels={max_pixels}. "
            "Scale the image down or raise max_pixels."
        )
    if isinstance(image, PngImageFile | WebPImageFile) and image.n_frames > 1:
        raise DataError(f"{path}: the image is animated ({image.n_frames} frames). Save one frame.")
    return image


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation still to be applied, 1 to 8; anything else in the tag means 1."""
    if isinstance(image, TiffImageFile):
        return 1  # Pillow turns a TIFF upright while it loads
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def upright(pixels: Shaped[np.ndarray, "h w c"], *, orientation: int) -> Shaped[np.ndarray, "h2 w2 c"]:
    """Undo an EXIF orientation.

    The eight values say where row 0 and column 0 of the stored image belong (EXIF 2.32, tag 0x0112)::

        1 top left      2 top right     3 bottom right  4 bottom left
        5 left top      6 right top     7 right bottom  8 left bottom

    Args:
        pixels: The stored image.
        orientation: 1 to 8.

    Returns:
        The image as it is meant to be seen, contiguous and writable; 5 to 8 exchange height and width.

    Example:
        >>> upright(np.array([[[1], [2]], [[3], [4]]]), orientation=6)[:, :, 0].tolist()
        [[3, 1], [4, 2]]
    """
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.require(pixels, requirements=("C", "W"))


def _rgb(path: Path, image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Convert a decoded image of any accepted mode."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format == "PNG"):  # Pillow < 11 says I for 16-bit PNG
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if mode in _ALPHA_MODES or (mode in _PLAIN_MODES and "transparency" in image.info):
        straight = image.convert("LA") if mode == "La" else image
        rgba = straight.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, _OPAQUE_BLACK), rgba))[:, :, :3]
    if mode in _PLAIN_MODES:
        return np.asarray(image if mode == "RGB" else image.convert("RGB"))
    raise DataError(
        f"{path}: colour mode '{mode}' has no agreed conversion to 8-bit RGB. Export the image as 8-bit or "
        "16-bit RGB (tone-map HDR first)."
    )


def _check_shape(path: Path, pixels: UInt8[np.ndarray, "h w 3"], *, assume_full: bool) -> None:
    """Check width = 2 x height, give or take the rounding of one row."""
    height, width = pixels.shape[:2]
    if assume_full or abs(width - 2 * height) <= 2:
        return
    missing = f"{width // 2 - height} rows" if width > 2 * height else f"{2 * height - width} columns"
    raise DataError(
        f"{path}: the image is {width} x {height} (width x height), but a full panorama is twice as wide as "
        f"high. Pad it with the {missing} that were not photographed, or pass assume_full=True if it covers "
        "360 x 180 degrees in this shape."
    )
