"""``panollava data pretrain-embedded``: make the embedded encoder and language model again."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    parser.add_argument("--language-steps", type=int, metavar="N", help="batches of the language model (default: 2000)")
    parser.add_argument("--vision-steps", type=int, metavar="N", help="batches of the encoder (default: 2600)")
    parser.add_argument("--scenes", type=int, metavar="N", help="scenes whose text trains the tokenizer (default: 1500)")


def run(args: argparse.Namespace) -> int:
    """Pretrain both models; hours on a CPU."""
    from panollava.embedded.pretrain import pretrain

    given = {"language_steps": args.language_steps, "vision_steps": args.vision_steps, "scenes": args.scenes}
    pretrain(args.out, **{name: value for name, value in given.items() if value is not None})
    return 0
