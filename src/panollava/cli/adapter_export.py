"""``panollava adapter export``: write the adapter of a checkpoint as PEFT reads it."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("checkpoint", help="a checkpoint, a stage's folder or a run's folder")
    parser.add_argument("folder", type=Path, help="folder to write adapter_config.json and the weights to")


def run(args: argparse.Namespace) -> int:
    """Write the adapter and print its folder."""
    from panollava.checkpoints.adapter import export_checkpoint_adapter

    print(export_checkpoint_adapter(args.checkpoint, args.folder))
    return 0
