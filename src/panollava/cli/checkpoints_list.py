"""``panollava checkpoints list``: what checkpoints there are, and how they are."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="where to look (default: runs)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "Sizes are compared, not every byte: 'panollava checkpoints verify' reads those."


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from panollava.checkpoints.listing import found_below, table

    listings = found_below(args.folder)
    if args.json:
        print(json.dumps([listing.as_dict() for listing in listings], indent=1))
        return 0
    print(table(listings, root=args.folder))
    for listing in listings:
        if listing.damage is not None:
            print(f"\n{listing.damage}")
    return 0
