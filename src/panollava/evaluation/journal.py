r"""Answers as they come, on disk: a run that is killed goes on where it was.

::

    {"format": 1, "checkpoint": "5f0c...", "test": "91be...", ...}      header: what the answers depend on
    {"sample": 0, "prediction": "a red ball", ...}                      one answer a line, appended
    {"sample": 1, "pred                                                 torn by a kill: dropped on opening

The header is compared as a whole: an answer of another checkpoint, another test set or another temperature is never
taken for one of this run; the file is begun anew then, and a log line says what differs.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from panollava.errors import DataError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

FORMAT = 1
SYNC_SECONDS = 2.0
"""At most so much work is lost where the power fails; a killed process loses none that was written."""


class Journal:
    """An append-only file of JSON lines under a header.

    Args:
        path: The file; its folder is made.
        header: What its rows depend on: plain data.
        keep: Whether rows that are there, under an equal header, are kept; else the file is begun anew.

    Attributes:
        rows: The rows that were there.

    Raises:
        DataError: If the file cannot be written, or another process writes it.
    """

    def __init__(self, path: str | Path, *, header: Mapping[str, Any], keep: bool = True) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, Any]] = []
        self._length = 0
        self._header = {"format": FORMAT, **json.loads(json.dumps(header))}
        self._synced = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._opened()
            if keep:
                self._read()
            self._begin()
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows in one piece; they are flushed to disk every few seconds and on closing.

        Raises:
            DataError: If they cannot be written.
        """
        text = "".join(json.dumps(row) + "\n" for row in rows)
        try:
            self._file.write(text.encode("ascii"))
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise self._unwritable(error) from error

    def sync(self) -> None:
        """Wait until everything is on disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def remove(self) -> None:
        """Remove the file: what it held is elsewhere."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Flush to disk and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> BinaryIO:
        """Open for this process alone."""
        file = self.path.open("a+b")
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.close()
                raise DataError(
                    f"{self.path}: another process writes it. Wait for its end, or choose another output"
                ) from error
            except OSError:
                logger.debug("%s: this file system has no locks", self.path)
        return file

    def _read(self) -> None:
        """Take the rows that are whole, where the header is equal."""
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        whole, torn = lines[:-1], lines[-1]
        good = [row for row in takewhile(lambda row: row is not None, map(_parsed, whole)) if row is not None]
        if not good:
            return
        differs = sorted(
            key for key in {*good[0], *self._header} if good[0].get(key, ...) != self._header.get(key, ...)
        )
        if differs:
            logger.info("%s is of another run (%s differs); answering anew", self.path, ", ".join(differs))
            return
        if torn or len(good) < len(whole):
            logger.info("%s: dropped what follows row %d, which is not whole", self.path, len(good) - 1)
        self.rows = good[1:]
        self._length = sum(len(line) + 1 for line in whole[: len(good)])

    def _begin(self) -> None:
        """Cut off what is not kept; a new file gets its header."""
        self._file.truncate(self._length)
        if not self._length:
            self.append([self._header])
            self.sync()

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"{self.path}: the answers cannot be written ({error.strerror or error}). Check the folder and the disk."
        )


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line; None where it holds none."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
