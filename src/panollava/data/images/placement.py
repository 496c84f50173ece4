"""Where a picture lies on the sphere: the whole of it, a tagged crop, or a part that is padded.

::

      full panorama, width = 2 x height
    +----------------------------------+
    |            black    top          |
    |        +----------------+        |
    |  left  |    picture     |        |    every number in pixels of the stored picture, so that at 1/k
    |        +----------------+        |    all of them are divided by k
    |                                  |
    +----------------------------------+
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from panollava.data.images.gpano import Crop
from panollava.data.images.options import ImageOptions
from panollava.errors import DataError


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture's rectangle in the panorama."""

    width: int
    height: int
    left: int
    top: int
    full_width: int
    full_height: int

    def scale(self, scales: tuple[int, ...], *, min_width: int | None) -> int:
        """Return the coarsest k on offer at which the panorama is still `min_width` wide and every number whole.

        Example:
            >>> Placement(4096, 2048, 0, 0, 4096, 2048).scale((8, 4, 2, 1), min_width=1000)
            4
        """
        numbers = (self.width, self.height, self.left, self.top, self.full_width, self.full_height)
        fit = (k for k in scales if not any(n % k for n in numbers) and self.full_width // k >= (min_width or 0))
        return 1 if min_width is None else next(fit, 1)

    def apply(self, pixels: UInt8[np.ndarray, "h w 3"], *, scale: int) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Return the panorama at 1/scale; black where the picture is not."""
        if (self.width, self.height) == (self.full_width, self.full_height):
            return pixels
        out = np.zeros((self.full_height // scale, self.full_width // scale, 3), np.uint8)
        top, left = self.top // scale, self.left // scale
        out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return out


def place(width: int, height: int, crop: Crop | None, *, options: ImageOptions) -> Placement:
    """Decide where an upright picture lies.

    Args:
        width: Its width in pixels.
        height: Its height.
        crop: What its GPano tags say.
        options: `assume_full` ignores crop and shape; `pad` centres what is not 2:1 and has no crop.

    Raises:
        DataError: Not 2:1 and no choice is made, a crop that is not this picture's, or a panorama that is too large.
    """
    if options.assume_full or (crop is None and abs(width - 2 * height) <= 2):
        return Placement(width, height, 0, 0, width, height)
    if crop is not None:
        placement = _cropped(width, height, crop)
    elif options.pad:
        full_height = max(height, (width + 1) // 2)
        full_width = 2 * full_height
        left, top = (full_width - width) // 2, (full_height - height) // 2
        placement = Placement(width, height, left, top, full_width, full_height)
    else:
        raise DataError(_not_two_to_one(width, height))
    options.check_size(placement.full_width, placement.full_height, what="padded to the full sphere, ")
    return placement


def _cropped(width: int, height: int, crop: Crop) -> Placement:
    """Return the crop in pixels of the picture, which may have been resized since it was tagged."""
    if min(abs(width - crop.width * height / crop.height), abs(height - crop.height * width / crop.width)) > 1.0:
        raise DataError(
            f"the image is {width} x {height}, but its GPano tags speak of a crop of {crop.width} x {crop.height}, "
            "which has another shape. Correct or remove the tags."
        )
    across, down = width / crop.width, height / crop.height
    full_width = max(width, round(crop.full_width * across))
    full_height = max(height, round(crop.full_height * down))
    left = min(round(crop.left * across), full_width - width)
    top = min(round(crop.top * down), full_height - height)
    return Placement(width, height, left, top, full_width, full_height)


def _not_two_to_one(width: int, height: int) -> str:
    missing = f"{width // 2 - height} rows" if width > 2 * height else f"{2 * height - width} columns"
    return (
        f"the image is {width} x {height} (width x height), but a full panorama is twice as wide as high. Pass "
        f"pad=True to add the {missing} that were not photographed in black, half on each side (the picture then "
        "covers only a part of the sphere), or assume_full=True if it covers 360 x 180 degrees in this shape."
    )
