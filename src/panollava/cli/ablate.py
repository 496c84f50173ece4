"""``panollava ablate``: a study over models and adapters."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=Path("configs/lora_ablation.yaml"),
        help="the study's YAML file: models, lora_configs (default: configs/lora_ablation.yaml)",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the runs, train nothing")


def run(args: argparse.Namespace) -> int:
    """Run every combination, or list them."""
    from panollava.ablation.run import run_ablation
    from panollava.workflow.runner import run_experiment

    run_ablation(args.config, run_arm=run_experiment, dry_run=args.dry_run)
    return 0
