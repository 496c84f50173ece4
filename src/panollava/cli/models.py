"""``panollava models``: the table of presets with what they cost, and a dialogue that writes a configuration."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panollava.cli.models_ask import write_config, write_study

if TYPE_CHECKING:
    from panollava.config import ModelPreset

DEFAULT_OUT = Path("configs/custom_lora_ablation.yaml")
PRECISIONS = ("float32", "bfloat16", "float16", "nf4")
_GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print the table (the default)")
    what.add_argument("--json", action="store_true", help="print the table as JSON")
    what.add_argument("--interactive", action="store_true", help="pick models and write a study, or a configuration")
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE",
        help=f"the study to write (default: {DEFAULT_OUT}); one encoder and one language model: an experiment",
    )
    cost = parser.add_argument_group("memory", "What the columns of memory are computed for.")
    cost.add_argument("--precision", choices=PRECISIONS, default="bfloat16", help="frozen weights (default: bfloat16)")
    cost.add_argument("--no-lora", dest="lora", action="store_false", help="train every weight, not an adapter")
    cost.add_argument("--lora-r", type=int, default=16, metavar="R", help="rank of the adapter (default: 16)")
    cost.add_argument("--tokens", type=int, default=1024, metavar="N", help="tokens of a sequence (default: 1024)")
    cost.add_argument("--batch", type=int, default=1, metavar="N", help="sequences in a batch (default: 1)")
    cost.add_argument("--checkpointing", action="store_true", help="with gradient checkpointing")


def run(args: argparse.Namespace) -> int:
    """Print the presets, or ask and write."""
    from panollava.config import list_presets

    if args.json:
        print(json.dumps([_row(preset, args) for preset in list_presets()], indent=2))
    elif args.interactive:
        _interactive(args.out)
    else:
        trained = f"LoRA r {args.lora_r}" if args.lora else "all weights"
        print(f"memory in GiB: {args.precision}, {args.batch} x {args.tokens} tokens, training {trained}")
        print()
        print_table("Language models", list_presets("language"), args)
        print()
        print_table("Vision encoders", list_presets("vision"), args)
        print("\n* the hub asks for a login and an accepted licence")
        print("'embedded' (both roles) ships with the package. Any other Hugging Face id or folder works too.")
    return 0


def print_table(title: str, presets: "tuple[ModelPreset, ...]", args: argparse.Namespace | None = None) -> None:
    """Print one role's table; with arguments, the memory that they ask for."""
    print(title)
    language = presets[0].role == "language"
    columns = ("  infer   train" if language else " pixels  patch") if args is not None else ""
    print(f"   #  {'name':<21} {'size':>7} {columns}  {'licence':<19} id")
    for number, preset in enumerate(presets, start=1):
        mark = "*" if preset.gated else ""
        cells = ""
        if args is not None and language:
            memory = _memory(preset, args)
            cells = f" {memory['inference_gib']:6.1f} {memory['training_gib']:7.1f}"
        elif args is not None:
            cells = f" {preset.image_px:6} {preset.patch_px:6} "
        print(
            f"  {number:2}  {preset.name:<21} {_size(preset):>7} {cells}  {preset.licence:<19} {preset.model_id}{mark}"
        )


def _size(preset: "ModelPreset") -> str:
    millions = preset.parameters / 1e6
    return f"{millions / 1000:.2f} B" if millions >= 1000 else f"{millions:.0f} M"


def _row(preset: "ModelPreset", args: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": preset.name,
        "role": preset.role,
        "model_id": preset.model_id,
        "parameters": preset.parameters,
        "width": preset.width,
        "family": preset.family,
        "licence": preset.licence,
        "gated": preset.gated,
    }
    if preset.role == "vision":
        return row | {"image_px": preset.image_px, "patch_px": preset.patch_px}
    return row | {"memory": _memory(preset, args)}


def _memory(preset: "ModelPreset", args: argparse.Namespace) -> dict[str, Any]:
    from panollava.config.memory import inference_memory, training_memory

    shared = {
        "parameters": preset.parameters,
        "precision": args.precision,
        "tokens": args.tokens,
        "batch": args.batch,
    }
    rank = args.lora_r if args.lora else None
    trained = training_memory(preset.config, **shared, lora_r=rank, checkpointing=args.checkpointing)
    return {
        "precision": args.precision,
        "tokens": args.tokens,
        "batch": args.batch,
        "lora_r": rank,
        "inference_gib": round(inference_memory(preset.config, **shared).total / _GIB, 3),
        "training_gib": round(trained.total / _GIB, 3),
    }


def _interactive(out: Path) -> None:
    """Ask for models; write one pair as an experiment, several as a study of all pairs."""
    from panollava.cli.models_ask import pick
    from panollava.config import list_presets

    print_table("Language models", list_presets("language"))
    languages = pick("Language models (numbers or names, with commas): ", list_presets("language"))
    print_table("Vision encoders", list_presets("vision"))
    encoders = pick("Vision encoders (numbers or names, with commas): ", list_presets("vision"))
    if len(languages) == len(encoders) == 1 and out != DEFAULT_OUT:
        write_config(out, languages[0], encoders[0])
    else:
        write_study(out, languages, encoders)
