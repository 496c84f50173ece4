"""Data sources and the table of training stages."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from panollava.config.augment import AugmentConfig
from panollava.config.images import ImagesConfig
from panollava.config.sections import Dtype, FileName, Section

Component = Literal["vision", "resampler", "projector", "position", "language", "adapter"]
"""Every parameter of a model belongs to exactly one of these."""

OVERLAP_COMPONENTS: tuple[Component, ...] = ("vision", "resampler")
"""What the overlap objective can train: the parts before its loss."""

EMBEDDED_SOURCE = "surroundqa"


class DataEntry(Section):
    """One source of samples."""

    source: str = Field(
        EMBEDDED_SOURCE,
        min_length=1,
        description=f"'{EMBEDDED_SOURCE}' (generated) or a CSV, JSON or JSONL file of samples.",
    )
    image_root: str | None = Field(
        None, description="Folder that relative image paths start at; null: the folder of the file."
    )
    weight: float = Field(
        1.0, gt=0, description="Passes over this source when several are mixed: 0.5 is half of its rows, 2 all twice."
    )
    kinds: tuple[str, ...] | None = Field(
        None, min_length=1, description="Keep only samples of these question kinds; null: all."
    )


class SyntheticConfig(Section):
    """The generated data set SurroundQA."""

    count: int = Field(1250, ge=1, description="Number of panoramas over all splits.")
    seed: int = Field(7, ge=0, description="Seed of the scenes.")
    width: int = Field(512, ge=64, multiple_of=2, description="Width of a panorama in pixels; height is half.")
    questions_per_panorama: int = Field(24, ge=1, description="Questions made for each panorama.")


class DataConfig(Section):
    """What is trained and tested on."""

    train: tuple[DataEntry, ...] = Field((DataEntry(),), min_length=1, description="Sources of training samples.")
    val: tuple[DataEntry, ...] = Field((DataEntry(),), description="Sources of validation samples; may be empty.")
    test: tuple[DataEntry, ...] = Field((DataEntry(),), description="Sources of test samples; may be empty.")
    synthetic: SyntheticConfig = Field(SyntheticConfig(), description="How SurroundQA is generated.")
    images: ImagesConfig = Field(ImagesConfig(), description="How image files are read.")
    on_bad_image: Literal["raise", "skip"] = Field(
        "raise",
        description="raise: an image that cannot be used stops the run; skip: its rows are left out, and listed.",
    )
    max_bad_fraction: float = Field(
        0.01, ge=0, le=1, description="Largest share of the panoramas of a data set that may be skipped."
    )
    follow_links: bool = Field(
        False, description="Whether relative image paths may be links that lead out of their folder."
    )
    augment: AugmentConfig = Field(AugmentConfig(), description="How training panoramas are turned.")
    cache_features: bool = Field(
        True, description="Keep the features of a frozen encoder on disk and reuse them in later epochs."
    )
    cache_dtype: Dtype = Field("float32", description="Number type of kept features; the halves are half as large.")
    workers: int = Field(0, ge=0, description="Processes that load data; 0: load in the main process.")


class OverlapConfig(Section):
    """The overlap objective: its loss, which tokens it pairs, its weights, and the width of its expander."""

    loss: Literal["vicreg_batchwise", "vicreg_pairwise", "densecl", "infonce"] = Field(
        "vicreg_batchwise",
        description="VICReg with statistics over the batch or over each two views; InfoNCE with negatives from the "
        "same two views (densecl) or from the batch (infonce).",
    )
    pairing: Literal["rays", "columns"] = Field(
        "rays",
        description="rays: tokens that see the same ray; columns: by column numbers, as upstream, for comparison.",
    )
    invariance: float = Field(25.0, ge=0, description="Weight of the distance of corresponding tokens (vicreg).")
    variance: float = Field(25.0, ge=0, description="Weight of the hinge on the standard deviation (vicreg).")
    covariance: float = Field(1.0, ge=0, description="Weight of the off-diagonal covariance (vicreg).")
    temperature: float = Field(0.07, gt=0, description="Divisor of the cosine similarity (densecl, infonce).")
    negative_angle_deg: float = Field(
        10.0, gt=0, lt=180, description="Tokens of one panorama nearer than this are no negatives (densecl, infonce)."
    )
    max_negatives: int = Field(4096, ge=1, description="Most candidates for negatives in a batch (densecl, infonce).")
    expander_dim: int = Field(256, ge=1, description="Width of the expander; it is dropped after the stage.")


class StageConfig(Section):
    """One row of the stage table: what trains, on which objective, how long."""

    name: FileName = Field(description="Name of the stage, unique in the table; a folder of the run.")
    trains: tuple[Component, ...] = Field(
        min_length=1, description="Components that are updated; all others are frozen."
    )
    objective: Literal["overlap", "language"] = Field(
        "language", description="overlap: neighbouring views agree; language: predict the answers."
    )
    lr: dict[Component, PositiveFloat] = Field(
        description="Peak learning rate of each trained component; null removes an inherited one."
    )
    epochs: int | None = Field(None, ge=1, description="Passes over the training data; or give max_steps.")
    max_steps: int | None = Field(None, ge=1, description="Optimiser steps; or give epochs.")
    batch_size: int = Field(8, ge=1, description="Panoramas in a batch.")
    tokens_per_batch: int | None = Field(
        None,
        ge=1,
        description="Fill a batch with panoramas up to so many tokens (objective: language); null: batch_size.",
    )
    accumulation: int = Field(1, ge=1, description="Batches that are added up before an optimiser step.")
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="Share of the steps with a rising rate.")
    weight_decay: float = Field(0.01, ge=0, description="Decoupled weight decay; not on biases and norms.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="Learning rate after the warm-up.")
    questions_per_panorama: int | None = Field(
        None, ge=1, description="Questions drawn for each panorama in an epoch; null: all."
    )
    data: tuple[DataEntry, ...] | None = Field(
        None, min_length=1, description="Training sources of this stage alone; null: data.train."
    )
    overlap: OverlapConfig = Field(OverlapConfig(), description="Settings of the overlap objective.")

    @field_validator("lr", mode="before")
    @classmethod
    def _drop_null(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rate for key, rate in value.items() if rate is not None}
        return value

    @model_validator(mode="after")
    def _check(self) -> "StageConfig":
        if (self.epochs is None) == (self.max_steps is None):
            seen = f"epochs={self.epochs}, max_steps={self.max_steps}"
            raise ValueError(f"{seen}: give exactly one of epochs and max_steps, and null for the other")
        if len(set(self.trains)) != len(self.trains):
            raise ValueError(f"trains lists a component twice: {', '.join(self.trains)}")
        if self.objective == "overlap" and self.tokens_per_batch is not None:
            raise ValueError("tokens_per_batch is set, but objective overlap reads no tokens; write batch_size")
        if self.objective == "overlap":
            blocked = [name for name in self.trains if name not in OVERLAP_COMPONENTS]
            if blocked:
                raise ValueError(
                    f"objective overlap cannot train {', '.join(blocked)}: its loss is computed before them. "
                    f"Allowed: {', '.join(OVERLAP_COMPONENTS)}; or write objective: language"
                )
        self._check_rates()
        return self

    def _check_rates(self) -> None:
        for name in self.trains:
            if name not in self.lr:
                raise ValueError(f"trains {name}, but lr has no rate for it; add lr.{name}, for example 1e-4")
        for name in self.lr:
            if name not in self.trains:
                raise ValueError(
                    f"lr.{name} is given, but the stage does not train {name}; "
                    f"add {name} to trains, or write lr.{name}: null"
                )


def default_stages() -> tuple[StageConfig, ...]:
    """Return the three stages Vision -> Resampler -> Finetune with rates for the embedded pair."""
    return (
        StageConfig(
            name="vision", trains=("vision", "resampler"), objective="overlap",
            lr={"vision": 1e-5, "resampler": 1e-3}, epochs=1,
        ),
        StageConfig(
            name="resampler", trains=("resampler", "projector", "position"),
            lr={"resampler": 1e-3, "projector": 1e-3, "position": 1e-3}, epochs=1,
        ),
        StageConfig(
            name="finetune", trains=("resampler", "projector", "position", "adapter"),
            lr={"resampler": 3e-4, "projector": 3e-4, "position": 3e-4, "adapter": 3e-4}, epochs=1,
        ),
    )  # fmt: skip
