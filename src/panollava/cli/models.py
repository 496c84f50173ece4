"""``panollava models``: the table of presets, and a dialogue that writes a study."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from panollava.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from panollava.config import ModelPreset

DEFAULT_OUT = Path("configs/custom_lora_ablation.yaml")
_ADAPTERS = ((16, 32, 0.1), (32, 64, 0.1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print the table (the default)")
    what.add_argument("--json", action="store_true", help="print the table as JSON")
    what.add_argument("--interactive", action="store_true", help="pick models and write a study for 'ablate'")
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE",
        help=f"the study to write (default: {DEFAULT_OUT})",
    )


def run(args: argparse.Namespace) -> int:
    """Print the presets, or ask and write."""
    from panollava.config import list_presets

    if args.json:
        rows = [
            {"name": p.name, "role": p.role, "model_id": p.model_id, "parameters_m": p.parameters_m}
            | {"width": p.width, "family": p.family, "gated": p.gated}
            for p in list_presets()
        ]
        print(json.dumps(rows, indent=2))
    elif args.interactive:
        _write_study(args.out)
    else:
        _print_table("Language models", list_presets("language"))
        print()
        _print_table("Vision encoders", list_presets("vision"))
        print("\n* the hub asks for a login and an accepted licence")
        print("'embedded' (both roles) ships with the package. Any other Hugging Face id or folder works too.")
    return 0


def _print_table(title: str, presets: "tuple[ModelPreset, ...]") -> None:
    print(title)
    for number, preset in enumerate(presets, start=1):
        size = f"{preset.parameters_m / 1000:.1f} B" if preset.parameters_m >= 1000 else f"{preset.parameters_m} M"
        mark = "*" if preset.gated else ""
        print(f"  {number:2}  {preset.name:<13} {size:>7}  {preset.family:<10} {preset.model_id}{mark}")


def _write_study(out: Path) -> None:
    """Ask for models and write every pair of them as a study."""
    from panollava.config import list_presets
    from panollava.config.yaml_text import format_yaml

    _print_table("Language models", list_presets("language"))
    languages = _pick("Language models (numbers or names, with commas): ", list_presets("language"))
    _print_table("Vision encoders", list_presets("vision"))
    encoders = _pick("Vision encoders (numbers or names, with commas): ", list_presets("vision"))
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
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(format_yaml(study), encoding="utf-8")
    print(f"{out}: {len(study['models'])} models x {len(_ADAPTERS)} adapters")
    print(f"next: panollava ablate --config {out}")


def _pick(prompt: str, presets: "tuple[ModelPreset, ...]") -> "list[ModelPreset]":
    """Ask until the answer names at least one preset."""
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
