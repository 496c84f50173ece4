"""EXIF orientation: find it, and undo it."""

import re

import numpy as np
from jaxtyping import Shaped
from PIL import Image

_TAG = 0x0112
_IN_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([0-9])")


def read_orientation(*, exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation of a file's metadata, 1 to 8; 1 where it says nothing or something else.

    Args:
        exif: The EXIF block, from ``Exif`` on.
        xmp: The XMP packet; asked where EXIF has no orientation, as Pillow does.
    """
    value: object = None
    if exif is not None:
        block = Image.Exif()
        block.load(exif)
        value = block.get(_TAG)
    if value is None and xmp is not None and (found := _IN_XMP.search(xmp)):
        value = int(found[1])
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


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
