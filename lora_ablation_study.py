"""Run a study: the same as ``panollava ablate``."""

import sys

from scripts.door import enter

if __name__ == "__main__":
    enter("ablate", *sys.argv[1:])
