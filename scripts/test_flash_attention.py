"""Measure the attention kernels of this machine: the same as ``panollava bench attention``."""

import sys

from door import enter

if __name__ == "__main__":
    enter("bench attention", *sys.argv[1:])
