"""How the script names of the README open a verb of the command line."""

import os
import sys
from pathlib import Path
from typing import NoReturn

_ROOT = Path(__file__).resolve().parent.parent


def enter(*words: str) -> NoReturn:
    """Run ``panollava WORDS``; where panollava is only in .venv, start this script again with that Python."""
    try:
        from panollava.cli import main
    except ModuleNotFoundError as error:
        if error.name != "panollava":
            raise
        python = _ROOT / ".venv" / "bin" / "python"
        if not python.exists() or Path(sys.prefix) == python.parent.parent:
            sys.exit("error: panollava is not installed. Run: python setup_dev.py")
        os.execv(python, [str(python), *sys.argv])
    sys.exit(main(words))
