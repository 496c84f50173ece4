"""``panollava adapter merge``: write the language model of a checkpoint with its adapter added to the weights."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("checkpoint", help="a checkpoint, a stage's folder or a run's folder")
    parser.add_argument("folder", type=Path, help="folder to write a Hugging Face causal language model to")


def run(args: argparse.Namespace) -> int:
    """Write the merged model and print its folder."""
    from panollava.checkpoints.adapter import export_merged_language

    print(export_merged_language(args.checkpoint, args.folder))
    return 0
