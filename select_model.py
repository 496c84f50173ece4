"""List or pick models: the same as ``panollava models``."""

import sys

from scripts.door import enter

if __name__ == "__main__":
    enter("models", *sys.argv[1:])
