"""The sections of the parts between encoder and language model: resampler and position.

Each kind reads some of the keys. A value for a key that the kind does not read is an error: it would change nothing.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from panollava.config.sections import Section

RESAMPLER_READS: Mapping[str, tuple[str, ...]] = {
    "mlp": ("pool", "hidden"),
    "perceiver": ("queries", "depth", "heads"),
    "qformer": ("queries", "depth", "heads", "hidden"),
    "c_abstractor": ("pool", "hidden", "depth"),
    "spatial_pool": ("pool", "pooling"),
    "masked_drop": ("pool", "hidden", "keep", "drop"),
    "bimamba": ("pool", "hidden", "depth", "order", "state", "expand"),
}
"""The keys that each kind of resampler reads."""

WITHOUT_PLACE = ("perceiver", "qformer")
"""Kinds whose tokens have no place in the view, so that the overlap objective cannot compare them."""

POSITION_READS: Mapping[str, tuple[str, ...]] = {
    "ray": ("harmonics", "hidden"),
    "spherical": ("degree", "hidden"),
    "rotary": ("harmonics",),
    "sinusoid": (),
    "seed": (),
    "panorope": ("release",),
}
"""The keys that each kind of position reads; ``none`` is a switch, and leaves the others as they are."""


class ResamplerConfig(Section):
    """From the encoder's patches to fewer vision tokens per view."""

    kind: Literal["mlp", "perceiver", "qformer", "c_abstractor", "spatial_pool", "masked_drop", "bimamba"] = Field(
        "mlp",
        description="mlp: blocks of patches through an MLP; spatial_pool: their mean, maximum or convolution; "
        "c_abstractor: convolve, pool, convolve; bimamba: state space layers from both ends; masked_drop: mlp, of "
        "whose tokens training hides a part; perceiver, qformer: learned queries, whose "
        "tokens have no place in the view.",
    )
    pool: int = Field(
        2,
        ge=1,
        description="pool x pool neighbouring patches become one token (mlp, spatial_pool, c_abstractor, masked_drop, "
        "bimamba).",
    )
    hidden: int | None = Field(
        None,
        ge=1,
        description="Width of the tokens; null: the encoder's (mlp, qformer, c_abstractor, masked_drop, bimamba).",
    )
    queries: int = Field(16, ge=1, description="Number of tokens per view (perceiver, qformer).")
    depth: int = Field(
        2,
        ge=1,
        description="Number of blocks or layers (perceiver, qformer, bimamba; c_abstractor: before, and again after).",
    )
    heads: int = Field(4, ge=1, description="Number of attention heads (perceiver, qformer).")
    pooling: Literal["average", "max", "strided"] = Field(
        "average", description="Mean, maximum, or a convolution over each block (spatial_pool)."
    )
    keep: float = Field(
        0.5, gt=0, le=1, description="Share of a view's tokens that a training step keeps (masked_drop)."
    )
    drop: Literal["random", "columns"] = Field(
        "random", description="Hide single tokens, or whole columns of a view (masked_drop)."
    )
    order: Literal["rows", "snake"] = Field(
        "snake", description="Path through a view: row by row, or back and forth (bimamba)."
    )
    state: int = Field(16, ge=1, description="Numbers in the state of a channel (bimamba).")
    expand: float = Field(2.0, ge=1, description="Width inside a layer, as a multiple of hidden (bimamba).")

    @model_validator(mode="after")
    def _check(self) -> "ResamplerConfig":
        _refuse_unread(self, self.kind, RESAMPLER_READS)
        return self


class PositionConfig(Section):
    """How a vision token learns which way it looks."""

    kind: Literal["ray", "spherical", "rotary", "sinusoid", "seed", "panorope", "none"] = Field(
        "ray",
        description="ray: circular harmonics of each token's true ray; spherical: its spherical harmonics; rotary: "
        "turn the token by its ray; sinusoid: its cell in the view; seed, panorope: earlier encodings, for comparison; "
        "none: off.",
    )
    harmonics: int = Field(8, ge=1, description="Highest circular harmonic (ray, rotary).")
    degree: int = Field(6, ge=0, le=8, description="Highest degree of the spherical harmonics (spherical).")
    hidden: int | None = Field(
        None, ge=1, description="Width inside; null: the language model's width (ray, spherical)."
    )
    release: Literal["cora360", "snapshot"] = Field(
        "cora360", description="Whose formula: that of CORA-360, or of the first public code (panorope)."
    )

    @model_validator(mode="after")
    def _check(self) -> "PositionConfig":
        if self.kind != "none":
            _refuse_unread(self, self.kind, POSITION_READS)
        return self


def _refuse_unread(section: Section, kind: str, reads: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ValueError for a key that this kind does not read and that is not at its default."""
    for key, value in section.model_dump().items():
        default = type(section).model_fields[key].default
        if key == "kind" or key in reads[kind] or value == default:
            continue
        readers = ", ".join(name for name, keys in reads.items() if key in keys)
        raise ValueError(
            f"{key} is {value}, but kind: {kind} does not read it; the kinds that do: {readers}. "
            f"Remove it, or write its default, {'null' if default is None else default}"
        )
