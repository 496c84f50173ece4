"""The file of an ablation study: models x adapters, in the form that the README prints."""

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from panollava.config.io import load_config
from panollava.config.problems import config_error
from panollava.config.schema import PanollavaConfig
from panollava.config.sections import FileName, Section
from panollava.config.yaml_text import parse_yaml
from panollava.errors import ConfigError

DEFAULT_BASE = "default.yaml"


class StudyModel(Section):
    """One pair of models."""

    name: FileName = Field(description="Short name, part of the run's name.")
    vision_name: str = Field(min_length=1, description="Vision encoder: preset, Hugging Face id or folder.")
    language_model_name: str = Field(min_length=1, description="Language model, likewise.")
    latent_dimension: int | None = Field(None, ge=1, description="Width inside the resampler; null: the encoder's.")


class StudyLora(Section):
    """One adapter."""

    lora_r: int = Field(ge=1, description="Rank.")
    lora_alpha: float = Field(gt=0, description="Scale.")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="Dropout.")


class StudyConfig(Section):
    """A study: every model with every adapter, everything else as in ``base``."""

    experiment_name: FileName = Field(description="Name of the study; results go to <paths.runs>/<name>/.")
    base: str = Field(DEFAULT_BASE, description="Configuration of what the arms share, relative to the study's file.")
    models: tuple[StudyModel, ...] = Field(min_length=1, description="Pairs of models.")
    lora_configs: tuple[StudyLora, ...] = Field(min_length=1, description="Adapters.")


def load_study(path: str | Path) -> tuple[StudyConfig, dict[str, PanollavaConfig]]:
    """Read a study; return it and the configuration of each arm by its name.

    Raises:
        ConfigError: If the file, a key or a value is not right, or two arms have one name.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file; a study is a YAML file with models and lora_configs.")
    data = parse_yaml(path.read_text(encoding="utf-8"), origin=str(path))
    try:
        study = StudyConfig.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise config_error(error, data, origin=str(path)) from error
    arms: dict[str, PanollavaConfig] = {}
    for model in study.models:
        for lora in study.lora_configs:
            name = f"{model.name}_r{lora.lora_r}_a{lora.lora_alpha:g}_d{lora.lora_dropout:g}"
            if name in arms:
                raise ConfigError(f"{path}: two arms are both named '{name}'; give models and adapters once each.")
            arms[name] = _arm(study, model, lora, name=name, base=path.parent / study.base)
    return study, arms


def _arm(study: StudyConfig, model: StudyModel, lora: StudyLora, *, name: str, base: Path) -> PanollavaConfig:
    runs = load_config(base).paths.runs
    changes: dict[str, Any] = {
        "experiment.name": name,
        "paths.runs": str(Path(runs) / study.experiment_name),
        "vision.model": model.vision_name,
        "language.model": model.language_model_name,
        "resampler.hidden": model.latent_dimension,
        "lora.enabled": True,
        "lora.r": lora.lora_r,
        "lora.alpha": lora.lora_alpha,
        "lora.dropout": lora.lora_dropout,
    }
    return load_config(base, overrides=[f"{key}={json.dumps(value)}" for key, value in changes.items()])
