"""PNG, WebP, TIFF, BMP and unusual JPEG files, decoded by Pillow; every colour mode to 8-bit RGB.

16-bit samples keep their high byte (what Pillow does for 16-bit colour, so grey and colour agree). Transparent
pixels are composited on black: a hole in a panorama, such as a masked tripod, is a place without light. Of a TIFF
with several pages the first is read, which is the full resolution of a pyramid. ICC profiles are not applied.
"""

import io
from collections.abc import Callable
from typing import IO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from panollava.data.images.options import ImageOptions
from panollava.data.images.picture import Picture, decoded
from panollava.data.images.png import check_chunks
from panollava.data.images.upright import upright
from panollava.errors import DataError

Reader = Callable[[IO[bytes]], ImageFile.ImageFile]

# The classes are called directly: `Image.open` has a pixel limit of its own, global to the process.
READERS: dict[str, Reader] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
}
_ORIENTATION_TAG = 0x0112
_WIDTH_TAG, _HEIGHT_TAG = 0x0100, 0x0101
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_OPAQUE_BLACK = (0, 0, 0, 255)


def read_raster(kind: str, data: bytes, *, options: ImageOptions) -> Picture:
    """Check size and frames, decode, convert, turn upright.

    Args:
        kind: A key of `READERS`.
        data: The file.
        options: Its limits.

    Raises:
        DataError: Too large, animated, or of a colour mode without an agreed conversion.
        OSError: Damaged; Pillow raises many other types too, which `open_panorama` knows.
    """
    image = READERS[kind](io.BytesIO(data))
    options.check_size(*image.size)
    if isinstance(image, PngImageFile | WebPImageFile) and image.n_frames > 1:
        raise DataError(f"the image is animated ({image.n_frames} frames). Save one frame.")
    if kind == "PNG":
        check_chunks(data)
    if isinstance(image, TiffImageFile):
        _check_strips(image)
    orientation = _orientation(image)
    image.load()
    return decoded(upright(to_rgb(image), orientation=orientation), xmp=_xmp(image))


def _check_strips(image: TiffImageFile) -> None:
    """Refuse a TIFF whose strips or tiles do not cover it: Pillow would leave the rest black, and say nothing.

    Raises:
        OSError: If they do not.
    """
    columns, rows = image.tag_v2[_WIDTH_TAG], image.tag_v2[_HEIGHT_TAG]
    boxes = {box for _, box, *_ in image.tile if box is not None}
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    if covered < columns * rows:
        raise OSError(f"its strips have {covered} of {columns * rows} pixels")


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation still to be applied, 1 to 8; anything else in the tag means 1."""
    if isinstance(image, TiffImageFile):
        return 1  # Pillow turns a TIFF upright while it loads
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if value in range(1, 9) else 1


def _xmp(image: ImageFile.ImageFile) -> bytes | None:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return packet.encode() if isinstance(packet, str) else packet


def to_rgb(image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Convert a decoded image of any accepted mode.

    Raises:
        DataError: If the mode has no agreed conversion.
    """
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
        f"colour mode '{mode}' has no agreed conversion to 8-bit RGB. Export the image as 8-bit or 16-bit RGB."
    )
