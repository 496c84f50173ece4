"""Geometry against its peers: ``python benchmarks/geometry.py views cube jpeg accuracy antialias cache``.

One run measures panollava and every peer that is installed (``make bench-geometry`` installs them): each method in a
process of its own, one thread, asked in turn round by round. The least and the median of the rounds are printed, and
ratios of the least. A target that is missed is printed as MISSED; it is a measurement, not a test.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from geometry_accuracy import accuracy, antialias
from geometry_pool import LIBRARIES, Settings, installed, versions
from geometry_report import load_average, machine
from geometry_speed import cache, cube, jpeg_section, views

SECTIONS = {
    "views": views,
    "cube": cube,
    "jpeg": jpeg_section,
    "accuracy": accuracy,
    "antialias": antialias,
    "cache": cache,
}


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), help="all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every timing (5)")
    parser.add_argument("--quick", action="store_true", help="small pictures and one round: does it all still run?")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Measure, print, and write."""
    options = parse(words)
    present = installed(options.libraries)
    found: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "absent": [name for name in options.libraries if name not in present],
        "quick": options.quick,
        "rounds": 1 if options.quick else options.rounds,
        "load_before": load_average(),
        "sections": {},
    }
    for key in ("machine", "versions", "absent", "load_before"):
        print(f"{key}: {found[key]}")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(present, Path(folder), found["rounds"], options.quick)
        for name in options.sections or SECTIONS:
            section = SECTIONS[name](settings)
            if options.quick:
                section.targets = []  # they are for full sizes
            section.print()
            found["sections"][name] = section.to_dict() | {"load_after": load_average()}
    print(f"\nload_after: {load_average()}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + os.linesep, encoding="utf-8")


if __name__ == "__main__":
    main()
