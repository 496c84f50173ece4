"""``panollava checkpoints prune``: remove old checkpoints from inside stages."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, help="a stage's folder, a run's, or that of many runs")
    parser.add_argument("--keep", type=int, default=2, metavar="N", help="keep the newest N of a stage (default: 2)")
    parser.add_argument(
        "--max-age-days",
        type=float,
        metavar="D",
        help="remove those of more than D days, too; the newest whole one stays",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    parser.epilog = "Only step-000120 and its like are removed, never last or best."


def run(args: argparse.Namespace) -> int:
    """Remove, and print what."""
    from panollava.checkpoints.listing import found_below, size_text
    from panollava.checkpoints.prune import prune

    listings = {listing.folder: listing for listing in found_below(args.folder)}
    freed = 0
    for stage in sorted({folder.parent for folder in listings}):
        for folder in prune(stage, keep=args.keep, max_age_days=args.max_age_days, dry_run=args.dry_run):
            freed += listings[folder].bytes if folder in listings else 0
            print(f"{'would remove' if args.dry_run else 'removed'} {folder}")
    print(f"{size_text(freed)} {'would be ' if args.dry_run else ''}freed")
    return 0
