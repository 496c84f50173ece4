"""Pixels of an ERP in memory: what is accepted, columns that wrap, rows that go on past a pole, windows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from panollava.errors import GeometryError

DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))
CHANNELS = (1, 3, 4)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of ERP pixels; it may begin or end outside the picture."""

    row0: int
    rows: int
    col0: int
    cols: int

    def inside(self, height: int, width: int) -> bool:
        """Whether no pixel of it lies past the seam or a pole."""
        within_rows = self.row0 >= 0 and self.row0 + self.rows <= height
        return within_rows and self.col0 >= 0 and self.col0 + self.cols <= width


def check_erp(erp: object) -> None:
    """Raise GeometryError unless this is a u8 or f32 array (H, W) or (H, W, 1 | 3 | 4) with pixels."""
    if not isinstance(erp, np.ndarray):
        raise GeometryError(f"the ERP is {type(erp).__name__}; give a uint8 or float32 array (height, width, 3).")
    if erp.dtype not in DTYPES or erp.ndim not in (2, 3) or (erp.ndim == 3 and erp.shape[2] not in CHANNELS):
        raise GeometryError(
            f"the ERP is {erp.dtype} {erp.shape}; give a uint8 or float32 array of shape (height, width) or "
            "(height, width, channels) with 1, 3 or 4 channels."
        )
    if min(erp.shape) < 1:
        raise GeometryError(f"the ERP of shape {erp.shape} is empty.")


def roll_erp(erp: Shaped[np.ndarray, "height width *channels"], columns: int) -> np.ndarray:
    """Return the ERP with its content moved to the right by whole columns; the seam wraps.

    What was at yaw y is then at y + columns * 360 / W.

    Example:
        >>> roll_erp(np.array([[1, 2, 3, 4]]), 1).tolist()
        [[4, 1, 2, 3]]
    """
    return np.roll(erp, columns, axis=1)


def half_turn(row: Shaped[np.ndarray, "1 width *channels"]) -> np.ndarray:
    """Return a row seen half a turn away; an odd width takes the mean of the two nearest columns."""
    width = row.shape[1]
    turned = np.roll(row, width // 2, axis=1)
    if width % 2 == 0:
        return turned
    both = (turned.astype(np.float32) + np.roll(row, width // 2 + 1, axis=1)) / 2.0
    return (np.rint(both) if np.issubdtype(row.dtype, np.integer) else both).astype(row.dtype)


def extract_window(
    erp: Shaped[np.ndarray, "height width *channels"], window: Window
) -> Shaped[np.ndarray, "rows cols *channels"]:
    """Return a window of the ERP: columns wrap, the row past a pole is the last row half a turn away.

    A window inside the picture is a view of its memory, not a copy.

    Raises:
        GeometryError: a window more than one row past a pole.
    """
    height, width = erp.shape[:2]
    if window.inside(height, width):
        return erp[window.row0 : window.row0 + window.rows, window.col0 : window.col0 + window.cols]
    stop = window.row0 + window.rows
    if window.row0 < -1 or stop > height + 1:
        raise GeometryError(f"rows [{window.row0}, {stop}) are more than one row past a pole of {height} rows.")
    first, last = max(window.row0, 0), min(stop, height)
    out = np.empty((window.rows, window.cols, *erp.shape[2:]), erp.dtype)
    _copy_columns(erp[first:last], window.col0, out[first - window.row0 : last - window.row0])
    if window.row0 < 0:
        _copy_columns(half_turn(erp[:1]), window.col0, out[:1])
    if stop > height:
        _copy_columns(half_turn(erp[-1:]), window.col0, out[-1:])
    return out


def _copy_columns(source: np.ndarray, col0: int, out: np.ndarray) -> None:
    """Fill ``out`` with columns col0, col0 + 1, ... of the source, which wrap."""
    width, done = source.shape[1], 0
    while done < out.shape[1]:
        at = (col0 + done) % width
        count = min(width - at, out.shape[1] - done)
        out[:, done : done + count] = source[:, at : at + count]
        done += count
