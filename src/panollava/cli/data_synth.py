"""``panollava data synth``: write the generated data set SurroundQA."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for images, CSV and JSONL")
    parser.add_argument("--count", type=int, default=1250, metavar="N", help="panoramas (default: 1250)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="seed of the scenes (default: 7)")
    parser.add_argument("--width", type=int, default=512, metavar="PX", help="width in pixels (default: 512)")


def run(args: argparse.Namespace) -> int:
    """Write the panoramas and their questions."""
    from panollava.data.synthetic.write import synthesize

    synthesize(args.out, count=args.count, seed=args.seed, width=args.width)
    print(f"{args.out}: {args.count} panoramas, seed {args.seed}")
    return 0
