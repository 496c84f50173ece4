"""Directions in answers as angles: read a yaw, compare it on the circle.

Yaw is 0 at the front, positive to the right. "right 90 degrees", "bearing 90", "90" and "right" are the same yaw; a
word of eight sectors stands for its centre.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panollava.metrics.accuracy import find_sector

TOLERANCE_DEG = 22.5  # half a sector of eight
_NUMBER = r"(?P<number>\d+(?:\.\d+)?)"
_UNIT = r"\s*(?:degrees?|deg\b|\u00b0)"
_SIDE_FIRST = re.compile(rf"\b(?P<side>left|right)(?: by)? {_NUMBER}{_UNIT}", re.IGNORECASE)
_SIDE_LAST = re.compile(rf"(?<![\w.]){_NUMBER}{_UNIT} (?:to (?:the|your|my) )?(?P<side>left|right)\b", re.IGNORECASE)
_BEARING = re.compile(rf"\b(?:bearing|yaw)(?: of| is|:)? (?P<sign>[-\u2212+]?){_NUMBER}(?:{_UNIT})?", re.IGNORECASE)
_BARE = re.compile(rf"^\W*?(?P<sign>[-\u2212+]?){_NUMBER}(?:{_UNIT})?\W*$", re.IGNORECASE)
_WORDS = {"turn around": 180.0, "stay": 0.0}


def read_yaw_deg(text: str, *, sectors: Sequence[str]) -> float | None:
    """Return the one direction that a text names as a yaw in [-180, 180), or None when it names none or several.

    Args:
        text: an answer.
        sectors: names of equal sectors in the order of yaw, such as ``geometry.sphere.SECTORS8``.

    Example:
        >>> names = ("front", "right", "behind", "left")
        >>> [read_yaw_deg(t, sectors=names) for t in ("turn left 90 degrees", "bearing 270", "left", "a cat")]
        [-90.0, -90.0, -90.0, None]
    """
    found = set()
    for match in (*_SIDE_FIRST.finditer(text), *_SIDE_LAST.finditer(text)):
        found.add(wrapped_deg(float(match["number"]) * (-1 if match["side"].lower() == "left" else 1)))
    if not found:
        for match in (*_BEARING.finditer(text), *_BARE.finditer(text)):
            found.add(wrapped_deg(float(match["number"]) * (-1 if match["sign"] in ("-", "\u2212") else 1)))
    if not found:
        plain = " ".join(re.findall(r"\w+", text.lower()))
        sector = find_sector(text, sectors=sectors)
        if plain in _WORDS:
            found.add(wrapped_deg(_WORDS[plain]))
        elif sector is not None:
            found.add(wrapped_deg(sector * 360.0 / len(sectors)))
    return found.pop() if len(found) == 1 else None


def wrapped_deg(angle_deg: float) -> float:
    """Return the same angle in [-180, 180).

    Example:
        >>> wrapped_deg(270.0), wrapped_deg(180.0)
        (-90.0, -180.0)
    """
    return (angle_deg + 180.0) % 360.0 - 180.0


def yaw_errors_deg(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, sectors: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the angle between each prediction and its nearest reference, and which items the metric concerns.

    An item is concerned when each of its references names one direction; its error is NaN when the prediction does not.

    Example:
        >>> names = ("front", "right", "behind", "left")
        >>> errors, concerned = yaw_errors_deg(["350", "a cat"], [["front"], ["left"]], sectors=names)
        >>> errors.tolist(), concerned.tolist()
        ([10.0, nan], [True, True])
    """
    errors = np.full(len(predictions), np.nan)
    concerned = np.zeros(len(predictions), dtype=bool)
    for item, (prediction, group) in enumerate(zip(predictions, references, strict=True)):
        true = [read_yaw_deg(reference, sectors=sectors) for reference in group]
        angles = [yaw for yaw in true if yaw is not None]
        concerned[item] = len(angles) == len(true)
        said = read_yaw_deg(prediction, sectors=sectors) if concerned[item] else None
        if said is not None:
            errors[item] = min(abs(wrapped_deg(said - yaw)) for yaw in angles)
    return errors, concerned


def sector_hits(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, sectors: Sequence[str]
) -> NDArray[np.float64]:
    """Return 1.0 where the prediction names the sector of a reference, else 0.0; NaN where a reference names no one.

    Example:
        >>> names = ("front", "right", "behind", "left")
        >>> sector_hits(["on the left", "left or right", "x"], [["left"], ["left"], ["a cat"]], sectors=names).tolist()
        [1.0, 0.0, nan]
    """
    hits = np.full(len(predictions), np.nan)
    for item, (prediction, group) in enumerate(zip(predictions, references, strict=True)):
        true = [find_sector(reference, sectors=sectors) for reference in group]
        if None not in true:
            said = find_sector(prediction, sectors=sectors)
            hits[item] = float(said is not None and said in true)
    return hits
