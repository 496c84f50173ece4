"""``panollava eval``: a checkpoint on a test set."""

import argparse
from pathlib import Path

from panollava.cli.arguments import add_config_arguments, overrides_of, read_config
from panollava.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint-dir",
        "--checkpoint",
        required=True,
        type=Path,
        metavar="DIR",
        help="a checkpoint, or a folder that holds one",
    )
    parser.add_argument(
        "--csv-input",
        type=Path,
        metavar="FILE",
        help="a CSV, JSON or JSONL file of questions and references (default: data.test)",
    )
    add_config_arguments(parser, default=None)
    parser.epilog = "Without --config, the configuration that the checkpoint was trained with is used."


def run(args: argparse.Namespace) -> int:
    """Answer, score, and print the table of scores."""
    if args.config is None and overrides_of(args):
        raise ConfigError(
            f"settings are given ({', '.join(overrides_of(args))}), but no file to change; add --config FILE."
        )
    config = read_config(args) if args.config is not None else None
    from panollava.workflow import EvaluationRunner
    from panollava.workflow.runner import print_scores

    metrics = EvaluationRunner(config).run(checkpoint_dir=args.checkpoint_dir, csv=args.csv_input)
    print_scores(metrics)
    return 0
