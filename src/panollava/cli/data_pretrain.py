"""``panollava data pretrain-embedded``: make the embedded encoder and language model again."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="seed of weights and data (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Pretrain both models; hours on a CPU."""
    from panollava.embedded.pretrain import pretrain

    pretrain(args.out, seed=args.seed)
    return 0
