"""The dialogue of ``panollava models --interactive``: pick rows of a table, write what was picked."""

from pathlib import Path
from typing import TYPE_CHECKING

from panollava.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from panollava.config import ModelPreset

_ADAPTERS = ((16, 32, 0.1), (32, 64, 0.1))


def pick(prompt: str, presets: "tuple[ModelPreset, ...]") -> "list[ModelPreset]":
    """Ask until the answer names at least one preset.

    Raises:
        ConfigError: The input ends before.
    """
    while True:
        try:
            answer = input(prompt)
        except EOFError as error:
            raise ConfigError("models --interactive: the input ended before models were picked.") from error
        try:
            return parse_choice(answer, presets)
        except ConfigError as error:
            print(error)


def parse_choice(answer: str, presets: "tuple[ModelPreset, ...]") -> "list[ModelPreset]":
    """Return the presets that an answer such as ``1, qwen_3b`` names, in that order, each once.

    Raises:
        ConfigError: if the answer is empty, or names no row of the table.
    """
    by_word = {preset.name: preset for preset in presets}
    by_word |= {str(number): preset for number, preset in enumerate(presets, start=1)}
    words = answer.replace(",", " ").split()
    for word in words:
        if word not in by_word:
            raise ConfigError(unknown_name("model", word, [preset.name for preset in presets]))
    if not words:
        raise ConfigError(f"nothing picked; answer with a number from 1 to {len(presets)}, or a name.")
    return list(dict.fromkeys(by_word[word] for word in words))


def write_study(out: Path, languages: "list[ModelPreset]", encoders: "list[ModelPreset]") -> None:
    """Write every pair of models with two adapters as a study, and say how to run it."""
    from panollava.config.yaml_text import format_yaml

    study = {
        "experiment_name": out.stem,
        "models": [
            {
                "name": language.name if len(encoders) == 1 else f"{language.name}_{vision.name}",
                "vision_name": vision.model_id,
                "language_model_name": language.model_id,
                "latent_dimension": vision.width,
            }
            for language in languages
            for vision in encoders
        ],
        "lora_configs": [{"lora_r": r, "lora_alpha": a, "lora_dropout": p} for r, a, p in _ADAPTERS],
    }
    _write(out, format_yaml(study))
    print(f"{out}: {len(study['models'])} models x {len(_ADAPTERS)} adapters")
    print(f"next: panollava ablate --config {out}")


def write_config(out: Path, language: "ModelPreset", vision: "ModelPreset") -> None:
    """Write one pair as an experiment of its own, with the data of the default, and say how to run it."""
    from panollava.config.yaml_text import format_yaml

    experiment = {
        "experiment": {"name": out.stem},
        "vision": {"model": vision.name},
        "language": {"model": language.name, "dtype": "bfloat16"},
        "lora": {"r": 16, "alpha": 32},
    }
    _write(out, format_yaml(experiment))
    print(f"{out}: {vision.name} and {language.name}, trained on SurroundQA until you name other data")
    print(f"next: panollava run --config {out}")


def _write(out: Path, text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
