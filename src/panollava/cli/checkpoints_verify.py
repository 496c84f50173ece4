"""``panollava checkpoints verify``: read every byte of checkpoints, and name what is not as it was written."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folders", nargs="*", type=Path, default=[Path("runs")], metavar="DIR", help="where to look (default: runs)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "Exit status: 0 all are whole; 1 one is damaged, or there is none."


def run(args: argparse.Namespace) -> int:
    """Print one line for each checkpoint; return 1 if any is damaged."""
    from panollava.checkpoints.listing import found_below, size_text

    listings = [listing for folder in args.folders for listing in found_below(folder, verify=True)]
    damaged = [listing for listing in listings if listing.damage is not None]
    if args.json:
        print(json.dumps([listing.as_dict() for listing in listings], indent=1))
    else:
        for listing in listings:
            print(listing.damage or f"{listing.folder} is whole")
        total = size_text(sum(listing.bytes for listing in listings))
        print(f"{len(listings)} read ({total}), {len(damaged)} damaged")
    return 1 if damaged else 0
