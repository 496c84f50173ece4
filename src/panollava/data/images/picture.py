"""What a reader hands over: the size and metadata of a file's picture, and how to get its pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

DCT_SCALES = (8, 4, 2, 1)
"""The whole fractions 1/k at which a JPEG decoder can reconstruct its blocks."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One file's picture, upright.

    Attributes:
        width: Width in pixels at full size, upright.
        height: Height likewise.
        xmp: The XMP packet, or None.
        decode: Returns the upright pixels at 1/k of the size, contiguous and writable, for a k in `scales`
            that divides width and height.
        scales: The k on offer, coarsest first.
    """

    width: int
    height: int
    xmp: bytes | None
    decode: Callable[[int], UInt8[np.ndarray, "h w 3"]]
    scales: tuple[int, ...] = (1,)


def decoded(pixels: UInt8[np.ndarray, "h w 3"], *, xmp: bytes | None = None) -> Picture:
    """Return the picture of a format that is decoded whole."""
    return Picture(pixels.shape[1], pixels.shape[0], xmp, lambda _: pixels)
