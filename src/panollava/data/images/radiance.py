"""The Radiance RGBE file (.hdr): three mantissas and one exponent a pixel, run-length coded by scanline.

::

    #?RADIANCE / FORMAT=32-bit_rle_rgbe / EXPOSURE=... / empty line / -Y height +X width
    scanline: 2 2 high low, then four planes R G B E of runs (count > 128: one byte, count - 128 times) and literals

Source: G. Ward, Real Pixels (Graphics Gems II, 1991). light = mantissa 2^(E - 136) / EXPOSURE, as OpenCV and most
readers have it (Ward adds half a mantissa step).
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from panollava.errors import DataError

_SIZE = re.compile(rb"^-Y +(\d+) +\+X +(\d+)$")
_RLE_WIDTHS = range(8, 0x8000)


@dataclass(frozen=True, slots=True)
class RadianceHeader:
    """Size, the byte at which pixels start, and the exposure that was multiplied in."""

    width: int
    height: int
    start: int
    exposure: float


def read_radiance_header(data: bytes) -> RadianceHeader:
    """Read the text before the pixels.

    Raises:
        DataError: XYZ colours, or rows in another order than top to bottom.
        ValueError: The header ends early or has no size.
    """
    end = data.index(b"\n\n")
    stop = data.index(b"\n", end + 2)
    exposure = 1.0
    for line in data[:end].split(b"\n"):
        key, _, value = line.partition(b"=")
        if key.strip() == b"EXPOSURE":
            exposure *= float(value)
        if key.strip() == b"FORMAT" and value.strip() != b"32-bit_rle_rgbe":
            raise DataError(f"Radiance format {value.decode('ascii', 'replace')!r}: only 32-bit_rle_rgbe is read. "
                            "Convert the file.")  # fmt: skip
    size = _SIZE.match(data[end + 2 : stop])
    if size is None:
        raise DataError(
            f"Radiance size {data[end + 2 : stop][:40]!r}: only '-Y height +X width' is read. Convert the file."
        )
    if not 0 < exposure < float("inf"):
        raise DataError(f"Radiance exposure {exposure}: a positive number is needed. Export the file again.")
    return RadianceHeader(width=int(size[2]), height=int(size[1]), start=stop + 1, exposure=exposure)


def read_radiance(data: bytes, header: RadianceHeader) -> Float[np.ndarray, "h w 3"]:
    """Decode the pixels to linear float32 RGB.

    Raises:
        ValueError: The pixels are damaged, or coded in Radiance's run-length code before 1991.
        IndexError: The file ends before its pixels do.
    """
    out = np.empty((header.height, header.width, 3), np.float32)
    at = header.start
    marks = bytes((2, 2, header.width >> 8 & 255, header.width & 255))
    for row in range(header.height):
        if header.width in _RLE_WIDTHS and data.startswith(marks, at):
            rgbe, at = _coded_line(data, at + 4, header.width)
        else:
            rgbe, at = _flat_line(data, at, header.width)
        out[row] = np.ldexp(rgbe[:3].T.astype(np.float32), rgbe[3, :, None].astype(np.int32) - 136)
    return out if header.exposure == 1.0 else out / np.float32(header.exposure)


def _coded_line(data: bytes, at: int, width: int) -> tuple[UInt8[np.ndarray, "4 width"], int]:
    line = bytearray()
    for plane in range(1, 5):
        while len(line) < plane * width:
            count = data[at]
            if count > 128:
                line += data[at + 1 : at + 2] * (count - 128)
                at += 2
            else:
                line += data[at + 1 : at + 1 + count]
                at += 1 + count
            if count == 0:
                raise ValueError(f"a run of no pixels at byte {at}")
        if len(line) != plane * width:
            raise ValueError(f"a run passes the end of its line at byte {at}")
    return np.frombuffer(line, np.uint8).reshape(4, width), at


def _flat_line(data: bytes, at: int, width: int) -> tuple[UInt8[np.ndarray, "4 width"], int]:
    line = np.frombuffer(data, np.uint8, count=4 * width, offset=at).reshape(width, 4)
    if (line[:, :3] == 1).all(axis=1).any():
        raise ValueError("the run-length code of Radiance before 1991")
    return line.T, at + 4 * width
