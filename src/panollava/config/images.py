"""How panorama files are read."""

from typing import Literal

from pydantic import Field, model_validator

from panollava.config.sections import Section


class ImagesConfig(Section):
    """Limits of image files, and what to do where a file leaves a choice."""

    max_megapixels: float = Field(200.0, gt=0, description="Largest width x height of a file, in millions of pixels.")
    max_megabytes: float = Field(1000.0, gt=0, description="Largest file, in millions of bytes.")
    pad: bool = Field(False, description="Pad pictures that are not 2:1 with black; false: refuse them.")
    assume_full: bool = Field(
        False, description="Take pictures of any shape as the whole sphere; false: refuse what is not 2:1."
    )
    tone_map: Literal["reinhard", "exposure", "clip"] | None = Field(
        None, description="How linear light (HDR, EXR, float TIFF) becomes 8 bits; null: refuse such files."
    )
    pose: Literal["level", "north", "ignore"] = Field(
        "level",
        description="What to undo of a GPano pose: pitch and roll (level), the heading too (north), nothing (ignore).",
    )

    @model_validator(mode="after")
    def _check(self) -> "ImagesConfig":
        if self.pad and self.assume_full:
            raise ValueError("pad and assume_full are both true; a picture covers a part of the sphere or all of it")
        return self
