"""``panollava ask``: questions about one panorama."""

import argparse
from pathlib import Path

from panollava.cli.arguments import add_image_arguments, image_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", type=Path, metavar="PANORAMA", help="an equirectangular image, width = 2 x height")
    parser.add_argument("questions", nargs="+", metavar="QUESTION", help="what to ask; the image is read once")
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        metavar="DIR",
        help="a checkpoint, or a folder that holds one",
    )
    add_image_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one answer a line."""
    from panollava.inference.session import Session
    from panollava.workflow.quiet import quiet_libraries

    quiet_libraries()
    session = Session.load(args.checkpoint, settings=image_settings(args))
    for question in args.questions:
        print(session.ask(args.image, question))
    return 0
