"""Write a folder so that it is there whole or not at all, whatever stops the process or the machine.

::

    .last.part/   being written: every file, then the folder, is brought to the disk before it gets its name
    last/         the name always leads to something whole: old and new change places in one call of the system
    .last.old/    where there is no such call, the old one for the moment between two renames

What a killed process leaves is never read: ``sweep`` removes it, or gives an old one its name back.
"""

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from panollava.errors import CheckpointError

PART, OLD = ".part", ".old"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def replacing(folder: Path, *, needs: int) -> Iterator[Path]:
    """Give a new folder to write in; where the block ends well, it takes the name of ``folder``.

    Args:
        folder: The name; what it leads to stays until the new one is whole on the disk.
        needs: Bytes that will be written.

    Raises:
        CheckpointError: If the disk has less, or does not take them; ``folder`` is as it was.
    """
    folder = folder.resolve() if os.path.islink(folder) else folder  # noqa: PTH114 - a closed folder is no error yet
    aside = _with_mark(folder, PART)
    try:
        made = _make_parents(folder.parent)
        sweep(folder.parent)
        free = _free(folder.parent)
        if free < needs:
            raise _short(folder, needs=needs, free=free, why="checked before writing")
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        aside.mkdir()
        yield aside
        for file in aside.iterdir():
            _sync(file)
        _sync(aside)
        _take_name(aside, folder)
        for parent in (folder.parent, *made):
            _sync(parent)
    except (OSError, SafetensorError) as error:
        raise _short(folder, needs=needs, free=_free(folder.parent), why=_reason(error)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_aside(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def replaced(folder: Path) -> Path:
    """Return where a folder stands while another takes its name in two steps."""
    return _with_mark(folder, OLD)


def remove(folder: Path) -> None:
    """Remove a checkpoint; if that is interrupted, no part of it is left under its name.

    Raises:
        CheckpointError: If it cannot be removed.
    """
    aside = _with_mark(folder, PART)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be removed ({error.strerror})") from error


def sweep(parent: Path) -> None:
    """Remove what killed processes left in a folder; an old folder that lost its name gets it back."""
    for child in list(parent.iterdir()):
        if not child.name.startswith(".") or child.is_symlink() or not child.is_dir():
            continue
        if child.name.endswith(PART):
            shutil.rmtree(child, ignore_errors=True)
        elif child.name.endswith(OLD):
            named = child.with_name(child.name[1 : -len(OLD)])
            if named.exists():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.rename(named)


def is_stranded(folder: Path) -> bool:
    """Whether this is a replaced folder whose successor never took its name: a crash came between."""
    if not (folder.name.startswith(".") and folder.name.endswith(OLD)):
        return False
    return not folder.with_name(folder.name[1 : -len(OLD)]).exists()


def _with_mark(folder: Path, mark: str) -> Path:
    return folder.with_name(f".{folder.name}{mark}")


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder; return the folders in which something was made, which are to be brought to the disk, too."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [path.parent for path in absent]


def _take_name(aside: Path, folder: Path) -> None:
    if not folder.exists():
        aside.rename(folder)
        return
    if _exchange(aside, folder):  # aside is now the old one
        return
    old = replaced(folder)
    folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, two: Path) -> bool:
    """Let two folders change names in one step; return whether this system and file system can."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(two), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(two))


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.EOPNOTSUPP)):  # no such call for folders there
            raise
    finally:
        os.close(handle)


def _free(folder: Path) -> int:
    """Return the free bytes of the disk of a folder that is there or will be."""
    above = (folder, *folder.absolute().parents)
    there = next(path for path in above if os.path.isdir(path))  # noqa: PTH112 - nor is one here
    return shutil.disk_usage(there).free


def _short(folder: Path, *, needs: int, free: int, why: str) -> CheckpointError:
    return CheckpointError(
        f"{folder} cannot be written ({why}): it needs {needs:,} bytes, and {free:,} are free there. "
        "Free space, or let paths.runs lead to a disk that has it; earlier checkpoints are as they were"
    )


def _reason(error: OSError | SafetensorError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return " ".join(str(error).split())
