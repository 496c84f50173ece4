"""A model folder that is made once: written aside, renamed when it is whole."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from panollava.user_cache import cache_folder


def model_folder(name: str) -> Path:
    """Return where a converted model lies in the user's cache; it need not exist."""
    return cache_folder() / "models" / name


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a converted model; make it if it is not there.

    Args:
        name: Name of the folder; another recipe or wheel needs another name.
        make: Fills an empty folder. If it raises, nothing is left.

    Example:
        >>> import os, tempfile
        >>> os.environ["PANOLLAVA_CACHE"] = tempfile.mkdtemp()
        >>> folder = made_once("demo", lambda new: (new / "config.json").touch())
        >>> made_once("demo", lambda new: 1 / 0) == folder
        True
        >>> del os.environ["PANOLLAVA_CACHE"]
    """
    folder = model_folder(name)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".part", dir=folder.parent))
    try:
        make(aside)
        aside.chmod(0o755)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same result
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder
