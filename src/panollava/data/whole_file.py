"""Write a file so that it is there whole or not at all, whatever stops the process or the machine."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = ".part"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file: a reader, or a crash, meets the old one or the new one, never half of one.

    Args:
        path: The file; one of the same name is replaced.
        content: Its bytes.

    Raises:
        OSError: If the disk does not take it; the old one stays.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_whole(file, b"[]")
        >>> file.read_bytes(), len(list(file.parent.iterdir()))
        (b'[]', 1)
    """
    with written_aside(path) as aside:
        aside.write_bytes(content)
        take_name(aside, path)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give the name of a file to write beside ``path``; what is left of it at the end is removed."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{MARK}")
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def take_name(aside: Path, path: Path) -> None:
    """Bring a file to the disk and give it its name."""
    to_disk(aside)
    aside.replace(path)
    to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # Windows opens no folders, and keeps their names itself
            return
        raise
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems have no such call for folders
            raise
    finally:
        os.close(handle)
