"""JPEG: read the header without a decoder; decode strictly, at full size or at 1/2, 1/4, 1/8.

::

    SOI  APP1 Exif  APP1 XMP  ...  SOF (size, components)  ...  SOS  entropy-coded blocks  EOI
         orientation GPano          what the plan needs          not touched by the header

A JPEG block can be reconstructed from its low frequencies alone (libjpeg's scaled inverse DCT): the picture at
1/k, antialiased, without the full one in memory. libjpeg-turbo decodes through simplejpeg, in its strict mode:
what libjpeg would report as a warning and then paint grey is an error here. CMYK, 12-bit and arithmetic-coded
files are left to Pillow.
"""

import struct
from dataclasses import dataclass

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from panollava.errors import DataError

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_APP1, _SCAN, _END = 0xE1, 0xDA, 0xD9
_DCT_BLOCK = 8
# Written by some phones into sound baseline files; it says nothing about the pixels. libjpeg reports its last
# warning, so no other came after it.
_HARMLESS = "Invalid SOS parameters"
_UNKNOWN_SUBSAMPLING = "Could not determine subsampling"


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What stands before the first scan.

    Attributes:
        width: Stored width in pixels.
        height: Stored height in pixels.
        components: 1 grey, 3 colour, 4 CMYK.
        precision: Bits of a sample.
        process: The SOF marker: 0xC0 baseline, 0xC1 extended, 0xC2 progressive, others.
        exif: The first EXIF block, from ``Exif`` on, or None.
        xmp: The first XMP packet, or None.
    """

    width: int
    height: int
    components: int
    precision: int
    process: int
    exif: bytes | None
    xmp: bytes | None

    @property
    def fast(self) -> bool:
        """Whether libjpeg-turbo's own interface decodes this kind of file to RGB.

        Below one block on both sides it would choose an odd scale such as 7/8, which gives the same size.
        """
        known = self.process in (_BASELINE, _EXTENDED, _PROGRESSIVE) and self.components in (1, 3)
        return known and self.precision == 8 and max(self.width, self.height) >= _DCT_BLOCK


def read_header(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan.

    Raises:
        ValueError: Not a chain of JPEG segments, or no frame in it.
        IndexError: The file ends inside the header.
        struct.error: Likewise.
    """
    frame: tuple[int, int, int, int, int] | None = None
    exif = xmp = None
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker in _STANDALONE:
            continue
        if marker in (_SCAN, _END):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise ValueError(f"a segment of {length} bytes at byte {at}")
        body, at = at + 2, at + length
        if marker in _FRAMES and frame is None:
            precision, height, width, components = struct.unpack_from(">BHHB", data, body)
            frame = (width, height, components, precision, marker)
        elif marker == _APP1 and exif is None and data.startswith(_EXIF, body):
            exif = data[body:at]
        elif marker == _APP1 and xmp is None and data.startswith(_XMP, body):
            xmp = data[body + len(_XMP) : at]
    if frame is None:
        raise ValueError("no frame header before the first scan")
    return JpegHeader(*frame, exif, xmp)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a place, and the place after it; any number of fill bytes may precede it."""
    if data[at] != 0xFF:
        raise ValueError(f"no marker at byte {at}")
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


def decode(data: bytes, header: JpegHeader, *, scale: int) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode to RGB at 1/scale.

    Args:
        data: The file.
        header: Its header, `header.fast`.
        scale: 1, 2, 4 or 8; divides width and height.

    Returns:
        The stored picture, not turned: (height/scale, width/scale, 3); None where the file's subsampling is
        none that libjpeg-turbo's interface knows.

    Raises:
        ValueError: The file is truncated or damaged.
        DataError: The decoder gave another size than planned.
    """
    width, height = header.width // scale, header.height // scale
    try:
        # The least scale that reaches both sizes: exactly 1/scale from one block on (see `fast`).
        pixels = simplejpeg.decode_jpeg(data, min_width=width, min_height=height)
    except ValueError as error:
        if _UNKNOWN_SUBSAMPLING in str(error):
            return None
        if not str(error).startswith(_HARMLESS):
            raise
        pixels = simplejpeg.decode_jpeg(data, min_width=width, min_height=height, strict=False)
    if pixels.shape != (height, width, 3):
        raise DataError(f"the JPEG decoder gave {pixels.shape} for {(height, width, 3)}. Export the image again.")
    return pixels
