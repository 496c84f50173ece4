"""Locks between processes, on this machine or on a shared disk: who holds one and dies, holds it no more.

The operating system keeps them (``flock``), so there is nothing to clear up after a process that was killed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


@contextmanager
def held(file: Path, *, what: str) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it.

    Args:
        file: The lock's file; its folder is made.
        what: What is waited for, for the log.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("waiting for another process: %s", what)
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


def is_held(file: Path) -> bool:
    """Whether a process holds a lock."""
    if not file.is_file():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
