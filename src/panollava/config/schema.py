"""The whole configuration of an experiment: one frozen tree, checked once at the boundary.

``nn.Module`` classes and functions never take this tree; they take plain keyword arguments.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, model_validator

from panollava.config.images import ImagesConfig
from panollava.config.judges import JudgesConfig, SpiceConfig
from panollava.config.sections import (
    ExperimentConfig,
    LanguageConfig,
    LoraConfig,
    PathsConfig,
    Section,
    ViewsConfig,
    VisionConfig,
)
from panollava.config.stages import (
    Component,
    DataConfig,
    DataEntry,
    OverlapConfig,
    StageConfig,
    SyntheticConfig,
    default_stages,
)
from panollava.config.trainer import TrainerConfig
from panollava.config.visual import RESAMPLER_READS, WITHOUT_PLACE, PositionConfig, ResamplerConfig

__all__ = [
    "Component",
    "DataConfig",
    "DataEntry",
    "EvaluationConfig",
    "ExperimentConfig",
    "FieldInfo",
    "GenerationConfig",
    "ImagesConfig",
    "LanguageConfig",
    "LoraConfig",
    "OverlapConfig",
    "PanollavaConfig",
    "PathsConfig",
    "PositionConfig",
    "ResamplerConfig",
    "StageConfig",
    "SyntheticConfig",
    "TrainerConfig",
    "ViewsConfig",
    "VisionConfig",
    "section_of",
    "walk_fields",
]


class GenerationConfig(Section):
    """How answers are decoded."""

    max_new_tokens: int = Field(64, ge=1, description="Longest answer in tokens.")
    num_beams: int = Field(1, ge=1, description="Beams; 1: no beam search.")
    temperature: float = Field(0.0, ge=0, description="0: greedy; above: sample with this temperature.")
    seed: int | None = Field(
        None, ge=0, description="Decides, with panorama and question, what is sampled; null: experiment.seed."
    )
    batch_size: int = Field(32, ge=1, description="Questions that are decoded together.")


class EvaluationConfig(Section):
    """What is measured after training, on data.test."""

    metrics: tuple[str, ...] = Field(
        ("bleu4", "meteor", "rougeL", "spice", "cider"),
        min_length=1,
        description="Caption metrics; one that cannot run here is reported as missing.",
    )
    tokenizer: str | None = Field(
        None,
        description="One tokenizer for all caption metrics: intl, char, ko-mecab, ...; ptb: the official Java"
        " program for Penn Treebank tokens; null: each one's own.",
    )
    custom_metrics: dict[str, str] = Field(
        {}, description="Metrics of your own, name: path/to/file.py:function; see docs/evaluation-metrics.md."
    )
    models: JudgesConfig = Field(JudgesConfig(), description="Pretrained models that metrics need.")
    spice: SpiceConfig = Field(SpiceConfig(), description="How SPICE's program is run.")
    max_samples: int | None = Field(None, ge=1, description="Score only the first samples; null: all.")
    batch_size: int = Field(8, ge=1, description="Panoramas that are encoded together.")
    rolls: Literal[0, 2, 4, 8] = Field(
        0, description="Ask again about each panorama rolled to this many poses, and mirrored; 0: do not."
    )
    report: bool = Field(True, description="Write report.html.")
    sample_panoramas: int = Field(6, ge=0, description="Panoramas shown in the report with their answers.")


class PanollavaConfig(Section):
    """One experiment; every section has defaults, so a file states only what differs."""

    experiment: ExperimentConfig = Field(ExperimentConfig(), description="Identity of the run.")
    paths: PathsConfig = Field(PathsConfig(), description="Folders.")
    views: ViewsConfig = Field(ViewsConfig(), description="How a panorama is cut into views.")
    vision: VisionConfig = Field(VisionConfig(), description="Vision encoder.")
    resampler: ResamplerConfig = Field(ResamplerConfig(), description="Patches to vision tokens.")
    position: PositionConfig = Field(PositionConfig(), description="Viewing direction of vision tokens.")
    language: LanguageConfig = Field(LanguageConfig(), description="Language model.")
    lora: LoraConfig = Field(LoraConfig(), description="Adapter of the language model.")
    data: DataConfig = Field(DataConfig(), description="Training, validation and test samples.")
    stages: tuple[StageConfig, ...] = Field(default_stages(), min_length=1, description="Training stages, in order.")
    generation: GenerationConfig = Field(GenerationConfig(), description="Decoding of answers.")
    evaluation: EvaluationConfig = Field(EvaluationConfig(), description="Measurements.")
    trainer: TrainerConfig = Field(TrainerConfig(), description="Machine and arithmetic.")

    @model_validator(mode="after")
    def _check(self) -> "PanollavaConfig":
        names = [stage.name for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"stages: the name '{name}' is used {names.count(name)} times; names are unique")
        for stage in self.stages:
            if "adapter" in stage.trains and not self.lora.enabled:
                raise ValueError(
                    f"stages.{stage.name}.trains: adapter, but lora.enabled is false; "
                    "write lora.enabled: true, or remove adapter from trains and lr"
                )
            if stage.objective == "overlap" and "resampler" in stage.trains and self.resampler.kind in WITHOUT_PLACE:
                others = ", ".join(kind for kind in RESAMPLER_READS if kind not in WITHOUT_PLACE)
                raise ValueError(
                    f"stages.{stage.name}.trains: resampler on objective overlap, which compares tokens at places "
                    f"of the views; those of resampler.kind: {self.resampler.kind} have none. Choose a kind that keeps "
                    f"a grid ({others}), or remove resampler from trains and lr of this stage"
                )
        return self

    def stage(self, name: str) -> StageConfig:
        """Return the stage of that name.

        Raises:
            KeyError: if the table has no such stage.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)


class FieldInfo(NamedTuple):
    """One leaf of the schema."""

    path: str
    """Dotted path; ``*`` stands for any entry of a list."""
    default: Any
    """As plain data; None where the key is required."""
    required: bool
    description: str


def walk_fields(model: type[BaseModel] = PanollavaConfig, *, prefix: str = "") -> Iterator[FieldInfo]:
    """Yield every leaf of the schema in order; entries of lists of sections have ``*`` in the path.

    Example:
        >>> next(walk_fields()).path
        'experiment.name'
    """
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        section, is_list = section_of(field.annotation)
        if section is not None:
            yield from walk_fields(section, prefix=f"{path}.*." if is_list else f"{path}.")
        else:
            default = None if field.is_required() else field.default
            yield FieldInfo(path, default, field.is_required(), field.description or "")


def section_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the section class inside an annotation, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in getattr(annotation, "__args__", ()):
        found, is_list = section_of(part)
        if found is not None:
            return found, is_list or getattr(annotation, "__origin__", None) is tuple
    return None, False
