"""Evaluate, by what is given: predictions, a checkpoint, or a configuration.

scripts/eval.py --csv-input predictions.csv                        panollava score
scripts/eval.py --checkpoint-dir DIR --csv-input test.csv          panollava eval
scripts/eval.py --config configs/default.yaml                      panollava run (the whole pipeline)
"""

import argparse
import sys

from door import enter


def choose_verb(argv: list[str]) -> list[str]:
    """Return the words for ``panollava``; options that are not known here go on to the verb."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--csv-input", metavar="FILE", help="predictions, or with --checkpoint-dir a test set")
    parser.add_argument("--checkpoint-dir", metavar="DIR", help="a checkpoint, or a folder that holds one")
    parser.add_argument("--config", metavar="FILE", help="the experiment's YAML file")
    args, rest = parser.parse_known_args(argv)
    config = ["--config", args.config] if args.config else []
    if args.checkpoint_dir:
        csv = ["--csv-input", args.csv_input] if args.csv_input else []
        return ["eval", "--checkpoint-dir", args.checkpoint_dir, *csv, *config, *rest]
    if args.csv_input and not config:
        return ["score", args.csv_input, *rest]
    if args.csv_input or not config:
        parser.error("give --csv-input FILE, or --checkpoint-dir DIR with --csv-input FILE, or --config FILE")
    return ["run", *config, *rest]


if __name__ == "__main__":
    enter(*choose_verb(sys.argv[1:]))
