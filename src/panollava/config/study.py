"""The file of an ablation study: what its arms share, in what they differ, how often and for how long each is run.

Two forms, which may be mixed::

    models: [...]  lora_configs: [...]      every pair of models with every adapter
    grid: {views.kind: [e2p, cubemap]}      every combination of the values
    arms: [{name: wide, set: {...}}]        a list
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from panollava.config.problems import config_error
from panollava.config.sections import FileName, Section
from panollava.config.yaml_text import parse_yaml
from panollava.errors import ConfigError

DEFAULT_BASE = "default.yaml"
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=+,-]*$", max_length=100)]
"""Name of an arm, which becomes a folder."""
Seed = Annotated[int, Field(ge=0)]


class StudyModel(Section):
    """One pair of models."""

    name: FileName = Field(description="Short name, part of the arm's name.")
    vision_name: str = Field(min_length=1, description="Vision encoder: preset, Hugging Face id or folder.")
    language_model_name: str = Field(min_length=1, description="Language model, likewise.")
    latent_dimension: int | None = Field(None, ge=1, description="Width inside the resampler; null: the encoder's.")


class StudyLora(Section):
    """One adapter."""

    lora_r: int = Field(ge=1, description="Rank.")
    lora_alpha: float = Field(gt=0, description="Scale.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout.")


class StudyArm(Section):
    """One arm of a list."""

    name: ArmName = Field(description="Short name; a folder of the study.")
    set: dict[str, Any] = Field({}, description="Settings of this arm by dotted key.")


class StudyBudget(Section):
    """How much an arm may train. Steps are divided among the stages of objective language as in the base."""

    max_steps: int | None = Field(None, ge=1, description="Optimiser steps of an arm over its language stages.")
    tokens: int | None = Field(None, ge=1, description="Tokens of the language model of an arm, likewise.")
    minutes: float | None = Field(None, gt=0, description="Minutes after which a run is stopped and counts as failed.")

    @model_validator(mode="after")
    def _check(self) -> "StudyBudget":
        if self.max_steps is not None and self.tokens is not None:
            raise ValueError(
                f"max_steps={self.max_steps} and tokens={self.tokens} both set the number of steps; give one of them"
            )
        return self


class StudySlurm(Section):
    """What the array job of ``--executor slurm`` asks for."""

    partition: str | None = Field(None, min_length=1, description="Partition; null: the cluster's default.")
    time: str | None = Field(None, min_length=1, description="Time limit of one run, as sbatch reads it: 04:00:00.")
    gpus: int = Field(1, ge=0, description="GPUs of one run.")
    cpus: int = Field(8, ge=1, description="CPU cores of one run.")
    memory: str | None = Field(None, min_length=1, description="Memory of one run: 64G; null: the cluster's default.")
    setup: tuple[str, ...] = Field((), description="Shell lines before the run, such as module load.")
    options: tuple[str, ...] = Field((), description="More options of sbatch: --account=x.")


class StudyConfig(Section):
    """A study: everything as in ``base`` but what its arms set."""

    experiment_name: FileName = Field(description="Name of the study; results go to <paths.runs>/<name>/.")
    base: str = Field(DEFAULT_BASE, description="Configuration of what the arms share, relative to the study's file.")
    set: dict[str, Any] = Field({}, description="Settings of every arm by dotted key, laid over base.")
    models: tuple[StudyModel, ...] = Field((), description="Pairs of models.")
    lora_configs: tuple[StudyLora, ...] = Field((), description="Adapters.")
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        {}, description="Values of dotted keys; every combination is an arm."
    )
    arms: tuple[StudyArm, ...] = Field((), description="Arms by name.")
    seeds: tuple[Seed, ...] | None = Field(
        None, min_length=1, description="Values of experiment.seed; each arm is run with each. null: that of base."
    )
    baseline: str | None = Field(None, description="Name of the arm that others are compared with; null: the first.")
    blind: bool | None = Field(None, description="Train the text-only baseline of each arm; null: as base says.")
    shuffled_images: bool = Field(
        False, description="Score each arm again with another panorama's image for every question."
    )
    match: Literal["tokens"] | None = Field(
        None, description="tokens: change the steps of an arm so that its language model sees the baseline's tokens."
    )
    text_tokens: int = Field(
        24, ge=1, description="Tokens of a question with its answer, as match, budget.tokens and estimates count them."
    )
    budget: StudyBudget = Field(StudyBudget(), description="How much an arm may train.")
    slurm: StudySlurm = Field(StudySlurm(), description="Resources of a run in an array job.")

    @model_validator(mode="after")
    def _check(self) -> "StudyConfig":
        if not (self.models or self.lora_configs or self.grid or self.arms):
            raise ValueError("a study needs arms: write models and lora_configs, grid, or arms")
        if self.seeds is not None and len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds lists one twice: {', '.join(map(str, self.seeds))}")
        return self


def read_study(path: str | Path) -> StudyConfig:
    """Read the file of a study; its arms are made by ``panollava.ablation.study.load_study``.

    Raises:
        ConfigError: If the file, a key or a value is not right; a key is told with the nearest that exists.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"{path}: there is no such file; a study is a YAML file with models and lora_configs, or grid."
        )
    data = parse_yaml(path.read_text(encoding="utf-8"), origin=str(path))
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: expected keys such as 'experiment_name:', seen {type(data).__name__}.")
    try:
        return StudyConfig.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise config_error(error, data, origin=str(path), schema=StudyConfig) from error
