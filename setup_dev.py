"""Set up for development: ``make setup-dev``, which fills .venv with torch, panollava and the tools."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run make and say what comes next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", metavar="REQUIREMENT", help="which torch to install, for example torch==2.13.0")
    parser.add_argument("--torch-index", metavar="URL", help="package index to take torch from")
    args = parser.parse_args()
    root = Path(__file__).resolve().parent
    if shutil.which("make") is None:
        print("error: make is not installed. Without it: python -m venv .venv, then", file=sys.stderr)
        print("  .venv/bin/pip install -c constraints.txt -e '.[dev]'", file=sys.stderr)
        return 1
    words = ["make", "-C", str(root), "--no-print-directory", "setup-dev", f"PYTHON={sys.executable}"]
    words += [f"TORCH={args.torch}"] if args.torch else []
    words += [f"TORCH_INDEX={args.torch_index}"] if args.torch_index else []
    status = subprocess.run(words, check=False).returncode
    if status == 0:
        print("ready. Next: source .venv/bin/activate, then python check_env.py")
    return status


if __name__ == "__main__":
    sys.exit(main())
