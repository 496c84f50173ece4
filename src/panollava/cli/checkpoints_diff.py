"""``panollava checkpoints diff``: what differs between two checkpoints."""

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panollava.checkpoints.compare import CheckpointDifference, ComponentDifference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("first", help="a checkpoint, a stage's folder or a run's folder")
    parser.add_argument("second", help="another")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the differences."""
    from panollava.checkpoints.compare import compare_checkpoints
    from panollava.checkpoints.resolve import resolve_checkpoint

    first, second = resolve_checkpoint(args.first), resolve_checkpoint(args.second)
    found = compare_checkpoints(first, second)
    if args.json:
        print(json.dumps({"first": str(first), "second": str(second), **found.as_dict()}, indent=1))
    else:
        print(f"first   {first}\nsecond  {second}\n")
        print(_text(found))
    return 0


def _text(found: "CheckpointDifference") -> str:
    from panollava.checkpoints.listing import text_table

    keys = [[d.path, str(d.old), str(d.new)] for d in (*found.meta, *found.config)]
    parts = [[d.component, d.verdict, _amount(d)] for d in found.weights]
    told = text_table(["key", "first", "second"], keys) if keys else "no key differs"
    return f"{told}\n\n{text_table(['weights', '', ''], parts)}"


def _amount(part: "ComponentDifference") -> str:
    if part.verdict == "other weights":
        return f"{part.tensors} tensors have other names or shapes"
    return f"{part.tensors} tensors, at most by {part.largest:.3g}" if part.tensors and part.largest is not None else ""
