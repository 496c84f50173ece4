"""How training panoramas are turned, mirrored and tilted."""

import math
from typing import Literal

from pydantic import Field, model_validator

from panollava.config.sections import Section

MAX_TILT_DEG = 10.0
"""Beyond it an object that was asked about as above or below eye level may change sides."""


class AugmentConfig(Section):
    """Augmentation of training panoramas, drawn anew every epoch; texts follow, and bar what they cannot follow."""

    yaw: Literal["none", "stride", "columns", "any"] = Field(
        "none",
        description="Turns about the vertical: by the ring's steps (stride), whole columns, any angle (resamples).",
    )
    mirror: float = Field(0.0, ge=0, le=1, description="Probability of exchanging left and right.")
    pitch_jitter_deg: float = Field(
        0.0, ge=0, le=MAX_TILT_DEG, description="Largest pitch of the camera up or down, drawn evenly (resamples)."
    )
    roll_jitter_deg: float = Field(
        0.0, ge=0, le=MAX_TILT_DEG, description="Largest roll of the camera to either side, drawn evenly (resamples)."
    )

    @model_validator(mode="after")
    def _check(self) -> "AugmentConfig":
        tilt = math.hypot(self.pitch_jitter_deg, self.roll_jitter_deg)
        if tilt > MAX_TILT_DEG:
            raise ValueError(
                f"pitch_jitter_deg {self.pitch_jitter_deg} and roll_jitter_deg {self.roll_jitter_deg} together tilt "
                f"the camera by up to {tilt:.1f} degrees; at most {MAX_TILT_DEG:g} keep answers about heights true"
            )
        return self
