"""Scores of SPICE that were computed before: an SQLite file, so that a second run needs no Java.

An entry's key is the sha256 of everything that the score depends on: the caption, its references in their order, and
the checksums of the programs. (The program's own cache is a native library that does not run on ARM and breaks on
Java 16; it is not used.)
"""

import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_READ = 500  # SQLite takes at most 999 values in one statement on old builds


def score_key(prediction: str, references: Sequence[str], *, programs: Sequence[str]) -> str:
    """Return the key of one item.

    Args:
        prediction: the caption.
        references: its references, in order: the program merges them in that order.
        programs: checksums of the programs.

    Example:
        >>> score_key("a", ["b"], programs=["1"]) == score_key("a", ["b"], programs=["2"])
        False
    """
    text = json.dumps([prediction, list(references), list(programs)])
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def load_scores(path: Path, keys: Sequence[str]) -> dict[str, float]:
    """Return the scores that are known, by key; none where the file cannot be read, which is logged."""
    found: dict[str, float] = {}
    if not path.exists():
        return found
    try:
        with _opened(path) as database:
            for start in range(0, len(keys), _READ):
                some = keys[start : start + _READ]
                marks = ",".join("?" * len(some))
                found.update(database.execute(f"SELECT key, f FROM spice WHERE key IN ({marks})", some))
    except sqlite3.Error as error:
        logger.warning("the cache of SPICE scores %s cannot be read (%s); scoring without it", path, error)
        return {}
    return found


def store_scores(path: Path, scores: Mapping[str, float]) -> None:
    """Add scores by key; a file that cannot be written is logged, since the scores themselves are fine."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path) as database, database:
            database.executemany("INSERT OR REPLACE INTO spice VALUES (?, ?)", list(scores.items()))
    except (sqlite3.Error, OSError) as error:
        logger.warning("the cache of SPICE scores %s cannot be written (%s)", path, error)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file with its table, and close it; several processes may use it at once."""
    with contextlib.closing(sqlite3.connect(path, timeout=30.0)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS spice (key TEXT PRIMARY KEY, f REAL NOT NULL) WITHOUT ROWID")
        yield database
