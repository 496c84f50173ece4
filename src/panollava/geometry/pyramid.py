"""One ERP at several sizes, each made when it is first needed and once a panorama."""

import cv2
import numpy as np
from jaxtyping import Shaped

from panollava.geometry.antialias import polar_bands

Picture = Shaped[np.ndarray, "height width channels"]


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
        self._polar: dict[int, Picture] = {}

    def level(self, count: int) -> Picture:
        """Return the ERP halved ``count`` times, by averages of 2 x 2 pixels."""
        while len(self._levels) <= count:
            last = self._levels[-1]
            height, width = (half_size(size) for size in last.shape[:2])
            halved = cv2.resize(last, (width, height), interpolation=cv2.INTER_AREA)
            self._levels.append(halved.reshape(height, width, last.shape[2]))
        return self._levels[count]

    def polar(self, count: int) -> Picture:
        """Return level ``count`` with the rows near the poles averaged along the row (`polar_bands`)."""
        if count not in self._polar:
            self._polar[count] = average_polar_rows(self.level(count))
        return self._polar[count]


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
