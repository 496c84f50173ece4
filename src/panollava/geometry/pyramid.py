"""One ERP at several sizes, each row made when it is first needed and once a panorama.

::

    level 0   ||||||||||||||||||||||||||||||||    the ERP itself
    level 1   . . . |||||||||| . . .              a level ring reads its middle rows only, so only they
    level 2   . . .   |||||    . . .              are averaged; a global view asks for all
"""

import cv2
import numpy as np
from jaxtyping import Shaped

from panollava.geometry.antialias import polar_bands

Picture = Shaped[np.ndarray, "height width channels"]
Rows = tuple[int, int]


def half_size(size: int) -> int:
    """Return the pixels of one halved axis; an odd axis keeps its extent and rounds its count."""
    return max(1, (size + 1) // 2)


class ErpPyramid:
    """An ERP, the same halved again and again, and either with its polar rows averaged.

    Args:
        erp: u8 or f32 [H, W, C], contiguous.
    """

    def __init__(self, erp: Picture) -> None:
        self._levels = [erp]
        self._done: list[Rows] = [(0, erp.shape[0])]
        self._polar: dict[int, Picture] = {}

    def size(self, count: int) -> tuple[int, int]:
        """Return (height, width) of the ERP halved ``count`` times."""
        height, width = self._levels[0].shape[:2]
        for _ in range(count):
            height, width = half_size(height), half_size(width)
        return height, width

    def level(self, count: int, *, rows: Rows | None = None) -> Picture:
        """Return the ERP halved ``count`` times, by averages of 2 x 2 pixels.

        Args:
            count: how often.
            rows: [first, last) of the rows that will be read; others may be unset. None: all. Rows beyond the
                picture mean the polar row next to them.
        """
        height, _ = self.size(count)
        while len(self._levels) <= count:
            size = self.size(len(self._levels))
            self._levels.append(np.empty((*size, self._levels[0].shape[2]), self._levels[0].dtype))
            self._done.append((0, 0))
        first, last = (0, height) if rows is None else rows
        self._fill(count, min(max(first, 0), height - 1), max(min(last, height), 1))
        return self._levels[count]

    def polar(self, count: int) -> Picture:
        """Return level ``count`` with the rows near the poles averaged along the row (`polar_bands`)."""
        if count not in self._polar:
            self._polar[count] = average_polar_rows(self.level(count))
        return self._polar[count]

    def _fill(self, count: int, first: int, last: int) -> None:
        """Make rows [first, last) of a level, and what lies between them and those that are there."""
        start, stop = self._done[count]
        if start <= first and last <= stop:
            return
        (height, width), out = self.size(count - 1), self._levels[count]
        if height % 2 or width % 2:  # the averages of an odd size are not those of its pieces
            self._fill(count - 1, 0, height)
            self._done[count] = (0, out.shape[0])
            cv2.resize(self._levels[count - 1], out.shape[1::-1], dst=out, interpolation=cv2.INTER_AREA)
            return
        missing = [(first, last)] if start == stop else [(first, start), (stop, last)]
        for top, bottom in missing:
            if top < bottom:
                self._fill(count - 1, 2 * top, 2 * bottom)
                finer = self._levels[count - 1][2 * top : 2 * bottom]
                cv2.resize(finer, (width // 2, bottom - top), dst=out[top:bottom], interpolation=cv2.INTER_AREA)
        self._done[count] = (first, last) if start == stop else (min(first, start), max(last, stop))


def average_polar_rows(erp: Picture) -> Picture:
    """Return a copy whose rows above pitch 60 and below -60 are box averages of 1 / cos(pitch) columns, which wrap."""
    height, width = erp.shape[:2]
    out = erp.copy()
    for first, last, box in polar_bands(height, limit=width):
        for top, bottom in ((first, last), (height - last, height - first)):
            wide = cv2.copyMakeBorder(erp[top:bottom], 0, 0, box // 2, box // 2, cv2.BORDER_WRAP)
            mean = cv2.blur(wide, (box, 1), borderType=cv2.BORDER_REPLICATE).reshape(bottom - top, -1, erp.shape[2])
            out[top:bottom] = mean[:, box // 2 : box // 2 + width]
    return out
