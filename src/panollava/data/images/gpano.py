"""GPano XMP: what part of the sphere a picture shows, and how the camera was held.

The tags are Google's Photo Sphere metadata, https://developers.google.com/streetview/spherical-metadata. Its angles
are ours: heading turns clockwise from north as yaw does, pitch is positive above the horizon, and with growing roll
the horizon turns counterclockwise in the image, so the camera rolls clockwise. We take them, as in aviation, in the
order heading, pitch, roll: camera to world is R = Ry(heading) Rx(pitch) Rz(roll), `geometry.rotation`.

XML is parsed by defusedxml: no entities, no external files.
"""

import math
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jaxtyping import UInt8

from panollava.data.images.options import Pose
from panollava.errors import DataError
from panollava.geometry import rotation
from panollava.geometry.rotate import rotate_erp

_NAMESPACE = "http://ns.google.com/photos/1.0/panorama/"
_CROP = ("CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels", "CroppedAreaLeftPixels", "CroppedAreaTopPixels")
_FULL = ("FullPanoWidthPixels", "FullPanoHeightPixels")
_REMEDY = "Correct or remove the tags, or pass assume_full=True if the picture covers 360 x 180 degrees."


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of the full panorama that a picture shows, in pixels at the time of tagging."""

    width: int
    height: int
    left: int
    top: int
    full_width: int
    full_height: int


@dataclass(frozen=True, slots=True)
class GPano:
    """The tags of a file that matter: crop (None: whole) and camera pose in degrees (heading None: unknown)."""

    crop: Crop | None = None
    heading_deg: float | None = None
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


def parse_gpano(xmp: bytes | None) -> GPano:
    """Return the GPano tags of an XMP packet, written as attributes or as elements.

    Raises:
        DataError: XML that cannot be parsed, another projection than equirectangular, or numbers that are no
            numbers or contradict each other.

    Example:
        >>> parse_gpano(None)
        GPano(crop=None, heading_deg=None, pitch_deg=0.0, roll_deg=0.0)
    """
    if xmp is None or _NAMESPACE.encode() not in xmp:
        return GPano()
    tags = _tags(xmp)
    projection = tags.get("ProjectionType", "equirectangular")
    if projection.lower() != "equirectangular":
        raise DataError(f"GPano:ProjectionType is '{projection}'; only equirectangular is read. Convert the picture.")
    heading = _number(tags, "PoseHeadingDegrees")
    return GPano(
        crop=_crop(tags),
        heading_deg=heading,
        pitch_deg=_number(tags, "PosePitchDegrees", limit=90.0) or 0.0,
        roll_deg=_number(tags, "PoseRollDegrees", limit=180.0) or 0.0,
    )


def _tags(xmp: bytes) -> dict[str, str]:
    try:
        root = fromstring(xmp.strip(b"\0 \t\r\n"))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DataError(f"the XMP packet with GPano tags cannot be parsed ({error}). Correct or remove it.") from error
    prefix = f"{{{_NAMESPACE}}}"
    found: dict[str, str] = {}
    for element in root.iter():
        pairs = [*element.attrib.items(), (element.tag, element.text or "")]
        for key, value in pairs:
            if isinstance(key, str) and key.startswith(prefix):
                name = key[len(prefix) :]
                if found.setdefault(name, value.strip()) != value.strip():
                    raise DataError(f"GPano:{name} is both '{found[name]}' and '{value.strip()}'. {_REMEDY}")
    return found


def _number(tags: dict[str, str], name: str, *, limit: float = math.inf) -> float | None:
    if name not in tags:
        return None
    try:
        value = float(tags[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > limit:
        allowed = "a finite number" if limit == math.inf else f"a number from -{limit:g} to {limit:g}"
        raise DataError(f"GPano:{name} is '{tags[name]}'; {allowed} is needed. Correct or remove the tag.")
    return value


def _crop(tags: dict[str, str]) -> Crop | None:
    """Return the crop; None where no tag speaks of one."""
    if not any(name in tags for name in _CROP):
        return None
    missing = [name for name in (*_CROP, *_FULL) if name not in tags]
    if missing:
        raise DataError(f"the GPano crop lacks {', '.join(missing)}. {_REMEDY}")
    values = [_number(tags, name) or 0.0 for name in (*_CROP, *_FULL)]
    crop = Crop(*(round(value) for value in values))
    inside = 0 <= crop.left <= crop.full_width - crop.width and 0 <= crop.top <= crop.full_height - crop.height
    if min(crop.width, crop.height) < 1 or not inside:
        raise DataError(
            f"the GPano crop of {crop.width} x {crop.height} pixels at ({crop.left}, {crop.top}) does not lie inside "
            f"the full panorama of {crop.full_width} x {crop.full_height}. {_REMEDY}"
        )
    if abs(crop.full_width - 2 * crop.full_height) > 2:
        raise DataError(
            f"the GPano full panorama is {crop.full_width} x {crop.full_height}, but a sphere is twice as wide as "
            f"high. {_REMEDY}"
        )
    return crop


def level(erp: UInt8[np.ndarray, "h w 3"], gpano: GPano, *, pose: Pose) -> UInt8[np.ndarray, "h w 3"]:
    """Undo the camera's pose.

    ``level`` undoes pitch and roll, so that the horizon is a row and the picture's centre column stays the front:
    captions and questions speak of the front of the picture, and a compass does not change what is in front of the
    camera. ``north`` also undoes the heading: yaw 0 is north.

    Raises:
        DataError: ``north`` where the file has no heading.
    """
    heading_deg = gpano.heading_deg if pose == "north" else 0.0
    if heading_deg is None:
        raise DataError("pose='north' needs the tag GPano:PoseHeadingDegrees, which the file lacks. Use pose='level'.")
    angles = (heading_deg, gpano.pitch_deg, gpano.roll_deg)
    if pose == "ignore" or not any(angles):
        return erp
    return np.require(rotate_erp(erp, rotation(*angles).T), requirements=("C", "W"))
