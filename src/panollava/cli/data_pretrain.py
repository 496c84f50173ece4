"""``panollava data pretrain-embedded``: make the embedded encoder and language model again."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    parser.add_argument(
        "--quick", action="store_true", help="a few steps each, to see that it works; the weights are useless"
    )


def run(args: argparse.Namespace) -> int:
    """Pretrain both models; hours on a CPU."""
    from panollava.embedded.pretrain import pretrain, pretrain_quick

    (pretrain_quick if args.quick else pretrain)(args.out)
    return 0
