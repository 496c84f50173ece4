"""``python workflow/runner.py``: the whole pipeline with the default configuration."""

import sys

from panollava.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
