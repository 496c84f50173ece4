"""The sections that describe what is built: experiment, views and the parts of the model."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Dtype = Literal["float32", "bfloat16", "float16"]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that becomes a folder: letters, digits, dot, dash, underscore."""


class Section(BaseModel):
    """A frozen block of settings that rejects keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class ExperimentConfig(Section):
    """Identity of a run."""

    name: FileName = Field("default", description="Name of the run; results go to <paths.runs>/<name>/.")
    seed: int = Field(42, ge=0, description="Seed of weights, sample order and augmentation.")
    blind_baseline: bool = Field(
        True, description="Also train and score a model that sees no image, on the same questions."
    )
    untrained_baseline: bool = Field(
        False, description="Also score the model as it is before training, on the same questions."
    )


class PathsConfig(Section):
    """Folders that a run writes to; relative paths start at the current directory."""

    runs: str = Field("runs", min_length=1, description="Folder of all runs.")
    data: str = Field("data_cache", min_length=1, description="Folder of generated data and cached features.")


class ViewsConfig(Section):
    """How a panorama is cut into views. Angles in degrees, sizes in pixels."""

    kind: Literal["e2p", "bands", "cubemap", "tangent", "sliding", "resize", "anyres"] = Field(
        "e2p",
        description="e2p: ring of perspective views; bands: several rings; cubemap: six faces; tangent: views spread "
        "evenly over the sphere, as wide as covers it; sliding: windows of the panorama that wrap over the seam; "
        "resize: the whole panorama; anyres: planar tiles.",
    )
    hfov_deg: float = Field(90.0, gt=0, le=180, description="Horizontal field of view (e2p, bands, sliding).")
    vfov_deg: float | None = Field(None, gt=0, le=180, description="Vertical field of view (sliding); null: hfov_deg.")
    overlap: float = Field(
        0.5, ge=0, lt=1, description="Overlap of neighbours as an angle, 1 - stride/hfov_deg (e2p, bands, sliding)."
    )
    pitch_deg: float = Field(0.0, ge=-90, le=90, description="Pitch of the ring, up positive (e2p, sliding).")
    size_px: int | None = Field(None, ge=8, description="Side of a view; null: the encoder's image size.")
    global_view: bool = Field(True, description="Add the whole panorama, resized, as one more view.")
    global_size_px: tuple[int, int] | None = Field(
        None, description="Height and width of the global view; null: a view's size, twice as wide."
    )
    anyres_grid: tuple[int, int] = Field((2, 4), description="Rows and columns of tiles (anyres).")
    pitches_deg: tuple[float, ...] = Field(
        (-45.0, 0.0, 45.0), min_length=1, description="Pitch of each ring, up positive, different ones (bands)."
    )
    poles: bool = Field(True, description="Add the views straight up and down (bands, cubemap).")
    tangent: Literal["icosahedron", "fibonacci"] = Field(
        "icosahedron", description="How tangent views are spread over the sphere (tangent)."
    )
    count: int = Field(20, ge=1, description="Number of tangent views; icosahedron: 12, 20 or 80 (tangent).")
    antialias: Literal["fast", "quality", "none"] = Field(
        "fast",
        description="Against moire where a view has fewer pixels than the panorama: one tap from a fitting size "
        "(fast), four taps (quality, about four times the time), or nothing.",
    )

    @model_validator(mode="after")
    def _check(self) -> "ViewsConfig":
        if self.kind in ("e2p", "bands") and self.hfov_deg >= 180:
            raise ValueError(
                f"hfov_deg is {self.hfov_deg}, but a perspective view (kind: {self.kind}) spans below 180 degrees; "
                "choose a smaller hfov_deg or kind: sliding"
            )
        for key, pair, least in (
            ("anyres_grid", self.anyres_grid, 1),
            ("global_size_px", self.global_size_px, 8),
        ):
            if pair is not None and min(pair) < least:
                raise ValueError(f"{key} is {list(pair)}; both numbers must be at least {least}")
        return self

    def layout_options(self, *, encoder_size_px: int) -> dict[str, Any]:
        """Return the options of this kind, for ``geometry.build_layout(views.kind, **options)``.

        Args:
            encoder_size_px: side of a view where ``size_px`` is null.

        Example:
            >>> ViewsConfig(kind="resize").layout_options(encoder_size_px=224)
            {'size_px': (224, 448)}
        """
        size = self.size_px or encoder_size_px
        whole = self.global_size_px or (size, 2 * size)
        extra = whole if self.global_view else None
        ring = {"hfov_deg": self.hfov_deg, "overlap": self.overlap, "pitch_deg": self.pitch_deg}
        options: dict[str, dict[str, Any]] = {
            "e2p": {**ring, "size_px": size, "global_size_px": extra},
            "bands": {
                "hfov_deg": self.hfov_deg,
                "overlap": self.overlap,
                "pitches_deg": self.pitches_deg,
                "poles": self.poles,
                "size_px": size,
                "global_size_px": extra,
            },
            "cubemap": {"size_px": size, "poles": self.poles, "global_size_px": extra},
            "tangent": {
                "arrangement": self.tangent,
                "count": self.count,
                "size_px": size,
                "global_size_px": extra,
            },
            "sliding": {
                **ring,
                "vfov_deg": self.vfov_deg or self.hfov_deg,
                "size_px": size,
                "global_size_px": extra,
            },
            "resize": {"size_px": whole},
            "anyres": {"grid": self.anyres_grid, "tile_px": size, "global_size_px": extra},
        }
        return options[self.kind]


class VisionConfig(Section):
    """The vision encoder."""

    model: str = Field(
        "embedded", min_length=1, description="Preset name, Hugging Face id or local folder of the encoder."
    )
    revision: str | None = Field(None, description="Branch, tag or commit on the hub; null: the default branch.")
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model; needs a commit as revision. Read it first."
    )
    dtype: Dtype = Field("float32", description="Number type of the encoder's weights.")
    feature_layer: int = Field(
        -1, description="Hidden state that feeds the resampler; -1: the last block, -2: the one before."
    )
    trainable_blocks: int = Field(
        2, ge=0, description="How many of the last encoder blocks a stage that trains 'vision' updates."
    )


class LanguageConfig(Section):
    """The causal language model."""

    model: str = Field(
        "embedded", min_length=1, description="Preset name, Hugging Face id or local folder of the model."
    )
    revision: str | None = Field(None, description="Branch, tag or commit on the hub; null: the default branch.")
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model; needs a commit as revision. Read it first."
    )
    dtype: Dtype = Field("float32", description="Number type of the model's weights.")
    attention: Literal[
        "auto", "eager", "sdpa", "flex_attention", "varlen", "flash_attention_2", "flash_attention_3"
    ] = Field(
        "auto",
        description="Attention kernel; auto: the fastest that device and model can (eager for Gemma 2); "
        "'panollava bench attention' measures them.",
    )
    quantization: Literal["nf4", "int8"] | None = Field(
        None, description="Keep the frozen base in 4 or 8 bits, by bitsandbytes (QLoRA); null: as dtype says."
    )
    system_prompt: str | None = Field(None, description="First message of every chat; null: none.")


class LoraConfig(Section):
    """The adapter of the language model (PEFT LoRA), component 'adapter' of the stages."""

    enabled: bool = Field(True, description="Attach the adapter.")
    r: int = Field(16, ge=1, description="Rank.")
    alpha: float = Field(
        32, gt=0, description="Scale: updates are multiplied by alpha / r, or alpha / sqrt(r) with rslora."
    )
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout on the adapter's input.")
    target_modules: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="Names of the linear layers to adapt; auto: all of attention and MLP."
    )
    dora: bool = Field(False, description="Decompose weights into magnitude and direction (DoRA).")
    rslora: bool = Field(False, description="Scale by the square root of the rank (rsLoRA).")
    modules_to_save: tuple[str, ...] = Field(
        (), description="Names of modules that the adapter trains whole, for example lm_head."
    )

    @model_validator(mode="after")
    def _check(self) -> "LoraConfig":
        if self.enabled and not self.target_modules:
            raise ValueError("target_modules is empty; name at least one layer, or write auto, or enabled: false")
        return self
