"""Train the stages: the same as ``panollava train``."""

import sys

from door import enter

if __name__ == "__main__":
    enter("train", *sys.argv[1:])
