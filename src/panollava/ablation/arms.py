"""From the file of a study to its arms: which settings each has, and a short name that shows only what differs."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.config import load_config
from panollava.config.schema import PanollavaConfig
from panollava.config.study import StudyConfig, StudyLora, StudyModel
from panollava.errors import ConfigError, unknown_name

OWN_KEYS: Mapping[str, str] = {
    "experiment.name": "the study names its runs",
    "experiment.seed": "write seeds: [...]",
    "experiment.blind_baseline": "write blind: true or false",
    "paths.runs": "write it in set or in the base; the study's folder is below it",
}
"""Keys that an arm may not set, and why."""
_SHORT: Mapping[str, str] = {"lora.r": "r", "lora.alpha": "a", "lora.dropout": "d"}
_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a factor: how it is called, and what it sets."""

    label: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a study.

    Attributes:
        name: Short, unique, fit for a folder.
        overrides: Settings by dotted key in which it may differ from other arms.
        config: The whole configuration, with the seed of the base.
        derived: Settings that follow from the study's budget or match.
    """

    name: str
    overrides: Mapping[str, Any]
    config: PanollavaConfig
    derived: Mapping[str, Any]


def expand(study: StudyConfig, *, path: Path) -> list[Arm]:
    """Return the arms of a study, each with its checked configuration.

    Args:
        study: The file's content.
        path: The file, for messages and for ``base``.

    Raises:
        ConfigError: If an arm is not right, or two arms have one name or one configuration.
    """
    base = path.parent / study.base
    shared = _as_overrides(study.set, path=path, where="set")
    load_config(base, overrides=shared)  # what is wrong in all arms is told once
    arms: dict[str, Arm] = {}
    for choices in itertools.product(*_factors(study)):
        name = _join(choices) or "base"
        settings = {key: value for choice in choices for key, value in choice.settings.items()}
        overrides = _as_overrides(settings, path=path, where=f"arm '{name}'")
        try:
            config = load_config(base, overrides=[*shared, *overrides])
        except ConfigError as error:
            raise ConfigError(f"{path}: arm '{name}': {error}") from error
        if name in arms:
            raise ConfigError(f"{path}: two arms are both named '{name}'; give each value or name once.")
        arms[name] = Arm(name, settings, config, {})
    refuse_twins(list(arms.values()), origin=str(path))
    if study.baseline is not None and study.baseline not in arms:
        raise ConfigError(f"{path}: baseline: {unknown_name('arm', study.baseline, arms)}")
    return list(arms.values())


def refuse_twins(arms: Sequence[Arm], *, origin: str, once: str = "") -> None:
    """Refuse two arms that are one configuration: their runs would count as two where only one was tried.

    Args:
        arms: The arms.
        origin: The file, for the message.
        once: What made them equal, for the message.

    Raises:
        ConfigError: If there are two; it names both.
    """
    for first, second in itertools.combinations(arms, 2):
        if first.config == second.config:
            raise ConfigError(
                f"{origin}: the arms '{first.name}' and '{second.name}' are one configuration{once}; remove one."
            )


def _factors(study: StudyConfig) -> list[list[Choice]]:
    """Return what is combined: models, adapters, the arms of the list, and each key of the grid."""
    factors = []
    if study.models:
        factors.append([_model_choice(model, several=len(study.models) > 1) for model in study.models])
    if study.lora_configs:
        factors.append(_lora_choices(study.lora_configs))
    if study.arms:
        factors.append([Choice(arm.name, arm.set) for arm in study.arms])
    for key, values in study.grid.items():
        called = short_key(key, study.grid)
        factors.append([Choice(_setting_label(key, value, called, values), {key: value}) for value in values])
    return factors


def _model_choice(model: StudyModel, *, several: bool) -> Choice:
    settings = {
        "vision.model": model.vision_name,
        "language.model": model.language_model_name,
        "resampler.hidden": model.latent_dimension,
    }
    return Choice(model.name if several else "", settings)


def _lora_choices(adapters: Sequence[StudyLora]) -> list[Choice]:
    settings = [
        {"lora.enabled": True, "lora.r": a.lora_r, "lora.alpha": a.lora_alpha, "lora.dropout": a.lora_dropout}
        for a in adapters
    ]
    varied = [key for key in _SHORT if len({one[key] for one in settings}) > 1]
    return [Choice("-".join(f"{_SHORT[key]}{value_text(one[key])}" for key in varied), one) for one in settings]


def _setting_label(key: str, value: Any, called: str, values: Sequence[Any]) -> str:
    if len(values) == 1:
        return ""
    text = value_text(value)
    return f"{_SHORT[key]}{text}" if key in _SHORT else f"{called}={text}"


def short_key(key: str, keys: Mapping[str, Any]) -> str:
    """Return the last two parts of a dotted key, or more where another key ends alike.

    Example:
        >>> short_key("stages.finetune.lr.adapter", {"stages.finetune.lr.adapter": []})
        'lr.adapter'
    """
    parts = key.split(".")
    for length in range(2, len(parts)):
        tail = ".".join(parts[-length:])
        if sum(other.endswith(f".{tail}") for other in keys) == 1:
            return tail
    return key


def value_text(value: Any) -> str:
    """Return a value as part of a name: letters, digits and ``._=+,-``.

    Example:
        >>> value_text(0.00002), value_text([96, 192]), value_text("Qwen/Qwen2.5-0.5B"), value_text(None)
        ('2e-05', '96+192', 'Qwen2.5-0.5B', 'null')
    """
    if isinstance(value, bool) or value is None:
        text = json.dumps(value)
    elif isinstance(value, float):
        text = f"{value:g}"
    elif isinstance(value, list | tuple):
        text = "+".join(value_text(item) for item in value)
    elif isinstance(value, Mapping):
        text = "+".join(f"{key}{value_text(item)}" for key, item in value.items())
    else:
        text = str(value).rstrip("/").split("/")[-1]
    return re.sub(r"[^A-Za-z0-9._=+,-]+", "_", text)[:_LONGEST_VALUE]


def _join(choices: Sequence[Choice]) -> str:
    plain = [choice.label for choice in choices if choice.label and "=" not in choice.label]
    settings = [choice.label for choice in choices if "=" in choice.label]
    return "-".join([*plain, *([",".join(settings)] if settings else [])])


def _as_overrides(settings: Mapping[str, Any], *, path: Path, where: str) -> list[str]:
    for key in settings:
        for own, why in OWN_KEYS.items():
            if (key == own or own.startswith(f"{key}.")) and (where, key) != ("set", "paths.runs"):
                raise ConfigError(f"{path}: {where}: {key} cannot be set here: {why}.")
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]
