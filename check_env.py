"""Check this machine: the same as ``panollava check-env``."""

import sys

from scripts.door import enter

if __name__ == "__main__":
    enter("check-env", *sys.argv[1:])
