"""``python -m panollava`` is the command ``panollava``."""

import sys

from panollava.cli import main

if __name__ == "__main__":
    sys.exit(main())
