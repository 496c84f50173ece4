"""How panorama files are read and rendered: limits, and what to do where a file leaves a choice."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from panollava.errors import DataError, unknown_name
from panollava.geometry.antialias import Antialias, check_antialias

if TYPE_CHECKING:
    from panollava.config.images import ImagesConfig

ToneMap = Literal["reinhard", "exposure", "clip"]
"""From linear light to 8 bits; the formulas are in `panollava.data.images.tone_map`."""

Pose = Literal["level", "north", "ignore"]
"""What of a GPano pose is undone: pitch and roll; heading, pitch and roll; nothing."""

MAX_PIXELS = 200_000_000
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The options of `open_panorama` as one value, which loaders carry.

    Attributes:
        max_pixels: Largest width x height of a file and of the panorama it is padded to.
        max_bytes: Largest file.
        pad: Pad a picture that is not 2:1 with black, centred, at the density of its longer extent.
        assume_full: Take any picture as the whole sphere, whatever its shape or its crop tags say.
        tone_map: How pictures in linear light become 8-bit RGB; None refuses them. Others ignore it.
        pose: What to undo of the pose in a file's GPano tags.
        antialias: How views are rendered from it; a JPEG is decoded no finer than that needs.

    Raises:
        DataError: An unknown name, a limit below 1, or both `pad` and `assume_full`.

    Example:
        >>> ImageOptions(pad=True).signature()
        'level-pad-fast'
    """

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES
    pad: bool = False
    assume_full: bool = False
    tone_map: ToneMap | None = None
    pose: Pose = "level"
    antialias: Antialias = "fast"

    def __post_init__(self) -> None:
        if self.pad and self.assume_full:
            raise DataError(
                "pad and assume_full are both true, but a picture covers either a part of the sphere or all of "
                "it. Choose one."
            )
        if self.tone_map is not None and self.tone_map not in get_args(ToneMap):
            raise DataError(unknown_name("tone_map", str(self.tone_map), get_args(ToneMap)))
        if self.pose not in get_args(Pose):
            raise DataError(unknown_name("pose", str(self.pose), get_args(Pose)))
        check_antialias(self.antialias)
        for name, limit in (("max_pixels", self.max_pixels), ("max_bytes", self.max_bytes)):
            if limit < 1:
                raise DataError(f"{name} is {limit}; it must be at least 1.")

    @classmethod
    def from_settings(cls, images: "ImagesConfig", *, antialias: Antialias = "fast") -> "ImageOptions":
        """Return the options that a configuration states in `data.images` and `views.antialias`."""
        return cls(
            max_pixels=int(images.max_megapixels * 1e6),
            max_bytes=int(images.max_megabytes * 1e6),
            pad=images.pad,
            assume_full=images.assume_full,
            tone_map=images.tone_map,
            pose=images.pose,
            antialias=antialias,
        )

    def signature(self) -> str:
        """Return a name, fit for a folder, that differs where the options give other pixels; limits do not."""
        shape = "pad" if self.pad else "full" if self.assume_full else ""
        parts = [self.pose, shape, self.tone_map or "", self.antialias]
        return "-".join(part for part in parts if part)

    def check_size(self, width: int, height: int, *, what: str = "") -> None:
        """Refuse a picture without pixels or with more than `max_pixels`; nothing is allocated before.

        Raises:
            DataError: If width x height is out of bounds.
        """
        if width < 1 or height < 1:
            raise DataError(f"{width} x {height} pixels: the header names no size. Export the image again.")
        if width * height > self.max_pixels:
            raise DataError(
                f"{what}{width} x {height} = {width * height} pixels, more than max_pixels={self.max_pixels}. "
                "Scale the image down or raise max_pixels."
            )


DEFAULT_OPTIONS = ImageOptions()
