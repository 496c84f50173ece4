"""Where what was fetched or computed is kept for a user: converted weights, CoreNLP, scores of SPICE."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's folder for what can be fetched or computed again; it need not exist.

    PANOLLAVA_CACHE, or ``panollava`` below the cache folder of the system.

    Example:
        >>> cache_folder().name != ""
        True
    """
    own = os.environ.get("PANOLLAVA_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "panollava"
