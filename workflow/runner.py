"""``python workflow/runner.py``: the whole pipeline with the default configuration."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from door import enter

if __name__ == "__main__":
    enter("run", *sys.argv[1:])
