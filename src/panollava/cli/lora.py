"""``panollava lora``: from a preset to a trained adapter, its scores and its report, by a few options."""

import argparse
import json
import re
from typing import TYPE_CHECKING

from panollava.cli import processes
from panollava.cli.arguments import add_config_arguments, add_resume_argument, read_config
from panollava.errors import ConfigError

if TYPE_CHECKING:
    from panollava.config import PanollavaConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="language model: a preset (see panollava models), Hugging Face id or folder",
    )
    parser.add_argument("--vision-model", metavar="NAME", help="vision encoder, likewise")
    parser.add_argument("--lora-r", type=int, metavar="R", help="rank")
    parser.add_argument("--lora-alpha", type=float, metavar="A", help="scale: updates are multiplied by A / R")
    parser.add_argument("--lora-dropout", type=float, metavar="P", help="dropout on the adapter's input")
    parser.add_argument("--name", help="name of the run (default: lora_<model>_r<R>_a<A>, _d<P> if given)")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration, train nothing")
    add_config_arguments(parser)
    add_resume_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train the stages, score the model on held-out panoramas, and write the report."""
    given = {
        "language.model": args.model,
        "vision.model": args.vision_model,
        "lora.r": args.lora_r,
        "lora.alpha": args.lora_alpha,
        "lora.dropout": args.lora_dropout,
        "experiment.name": args.name,
    }
    options = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    args.settings = ["lora.enabled=true", *options, *args.settings]
    config = read_config(args)
    if args.name is None and not any(word.startswith("experiment.name=") for word in args.settings):
        # The name states what the options and the file make together, so it is known only now.
        args.settings.append(f"experiment.name={json.dumps(_name(config, dropout=args.lora_dropout))}")
        config = read_config(args)

    from panollava.config import dump_config, resolve_model

    resolve_model(config.language.model, role="language")
    resolve_model(config.vision.model, role="vision")
    if args.dry_run:
        print(dump_config(config), end="")
        return 0
    if not any("adapter" in stage.trains for stage in config.stages):
        raise ConfigError(
            f"{args.config}: no stage trains the adapter; add adapter to trains and lr of the last one, "
            f"{config.stages[-1].name}"
        )
    status = processes.started(config)
    if status is not None:
        return status
    from panollava.workflow.runner import run_experiment

    run_experiment(config, resume=args.resume)
    return 0


def _name(config: "PanollavaConfig", *, dropout: float | None) -> str:
    """Return a name for the run that tells its runs apart."""
    model = re.sub(r"[^A-Za-z0-9.-]+", "_", config.language.model.rstrip("/").split("/")[-1])
    told = "" if dropout is None else f"_d{dropout:g}"
    return f"lora_{model}_r{config.lora.r}_a{config.lora.alpha:g}{told}"
