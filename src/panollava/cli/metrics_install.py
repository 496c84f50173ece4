"""``panollava metrics install``: fetch what a metric needs and no package index carries."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=["spice"], help="spice: Stanford CoreNLP 3.6.0 (GPL, half a gigabyte)")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="the zip file, fetched by other means")
    parser.add_argument("--url", help="fetch from here instead of Stanford's server")


def run(args: argparse.Namespace) -> int:
    """Fetch, check, and say where it is and what its checksums are."""
    from panollava.metrics.java import find_java
    from panollava.metrics.spice import program_jar
    from panollava.metrics.spice_download import URL, install_corenlp

    print(f"SPICE's program: {program_jar()}")
    print(f"Java:            {find_java()}")
    corenlp = install_corenlp(archive=args.archive, url=args.url or URL, progress=_progress())
    print(f"CoreNLP:         {corenlp.folder}")
    for name, digest in corenlp.sha256.items():
        print(f"  {name}  sha256 {digest}")
    print("No checksum of the original is known here; these are remembered, and other bytes are refused from now on.")
    return 0


def _progress() -> Callable[[int, int | None], None] | None:
    """Return what writes the state of the download over itself on a terminal, or None where there is none."""
    if not sys.stderr.isatty():
        return None

    def show(have: int, total: int | None) -> None:
        share = f" of {total / 1e6:.0f}" if total else ""
        end = "\n" if have == total else ""
        print(f"\rCoreNLP: {have / 1e6:.0f}{share} MB", end=end, file=sys.stderr, flush=True)

    return show
