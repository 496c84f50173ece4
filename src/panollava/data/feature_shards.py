"""Many small sets of tensors in few files, which several processes may fill at once.

::

    <folder>/about.json            what all entries were made with
             <hash>.safetensors    a shard: tensors "<key>/0", "<key>/1", ... of many entries; keys in its header

Nothing is changed once it is written. A file is written aside, brought to the disk and renamed; a shard's name is the
hash of its bytes, so that damage shows, and two processes that wrote the same wrote one file. A damaged shard is
removed with a warning, and what it held is made again.
"""

import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from panollava.data.whole_file import MARK, take_name, write_whole, written_aside
from panollava.errors import DataError

logger = logging.getLogger(__name__)

ABOUT = "about.json"
_ENTRIES = "entries"  # of a shard's header; one text, because the order of several is not always the same
SUFFIX = ".safetensors"
_OPEN_FILES = 64
_HASH_LETTERS = 32
_ABANDONED_S = 3600
"""A file aside that is older is no one's: a shard is written in seconds."""


class FeatureShards:
    """A folder of entries: a key, and a tuple of tensors.

    Args:
        folder: Where the shards are; made if absent.
        about: What the entries were made with, for people, and to be compared.

    Raises:
        DataError: If the folder was made with something else.
    """

    def __init__(self, folder: Path, *, about: Mapping[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        _agree(folder / ABOUT, dict(about))
        self._sweep()
        self._shard_of: dict[str, str] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._sound: set[str] = set()
        self._files: OrderedDict[str, Any] = OrderedDict()
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self._shard_of

    def refresh(self) -> None:
        """Look for shards that other processes have finished since."""
        for file in sorted(self.folder.glob(f"*{SUFFIX}")):
            if file.stem in self._held or file.name.startswith("."):
                continue
            try:
                with safe_open(file, framework="pt") as shard:
                    self._add(file.stem, json.loads(shard.metadata()[_ENTRIES]))
            except FileNotFoundError:  # another process has removed it since
                continue
            except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
                self._remove(file.stem, why=str(error))

    def check(self, keys: Iterable[str]) -> None:
        """Read the shards of entries whole, once in a process, and remove those that are damaged."""
        for name in dict.fromkeys(self._shard_of[key] for key in keys if key in self):
            self._is_sound(name)

    def read(self, key: str) -> tuple[Tensor, ...] | None:
        """Return the tensors of an entry; None if there is no such entry, or it was damaged and is removed.

        The first entry of a shard costs a look at all its bytes; after that only the entry is read.
        """
        name = self._shard_of.get(key)
        if name is None or not self._is_sound(name):
            return None
        try:
            file, count = self._open(name), self._held[name][key]
            return tuple(file.get_tensor(f"{key}/{number}") for number in range(count))
        except (OSError, SafetensorError) as error:
            self._remove(name, why=str(error))
            return None

    def write(self, entries: Mapping[str, tuple[Tensor, ...]]) -> None:
        """Keep entries, in a shard of their own.

        Raises:
            DataError: If the disk does not take it.
        """
        tensors = {f"{key}/{n}": t.contiguous() for key, held in entries.items() for n, t in enumerate(held)}
        counts = {key: len(held) for key, held in entries.items()}
        try:
            with written_aside(self.folder / f"shard{SUFFIX}") as aside:
                save_file(tensors, aside, metadata={_ENTRIES: json.dumps(counts, sort_keys=True)})
                name = _hash(aside)
                take_name(aside, self.folder / f"{name}{SUFFIX}")
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"features cannot be kept in {self.folder} ({error}). Free space, give paths.data another disk, or "
                "write data.cache_features: false"
            ) from error
        self._add(name, counts)
        self._sound.add(name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}  # an open file does not travel to another process

    def _add(self, name: str, counts: dict[str, int]) -> None:
        self._held[name] = counts
        for key in counts:
            self._shard_of.setdefault(key, name)

    def _is_sound(self, name: str) -> bool:
        if name in self._sound:
            return True
        file = self.folder / f"{name}{SUFFIX}"
        try:
            found = _hash(file)
        except OSError as error:
            return self._remove(name, why=error.strerror or str(error))
        if found != name:
            return self._remove(name, why=f"its bytes have the hash {found}")
        self._sound.add(name)
        return True

    def _remove(self, name: str, *, why: str) -> bool:
        file = self.folder / f"{name}{SUFFIX}"
        logger.warning("  kept features are damaged, and are made again: %s (%s)", file, why)
        self._files.pop(name, None)
        self._sound.discard(name)
        for key in self._held.pop(name, ()):
            if self._shard_of.get(key) == name:
                del self._shard_of[key]
        for other, keys in self._held.items():  # what another shard holds, too, is there still
            for key in keys:
                self._shard_of.setdefault(key, other)
        file.unlink(missing_ok=True)
        return False

    def _open(self, name: str) -> Any:
        if name not in self._files:
            self._files[name] = safe_open(self.folder / f"{name}{SUFFIX}", framework="pt")
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(name)
        return self._files[name]

    def _sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for part in self.folder.glob(f".*{MARK}"):
            try:
                if time.time() - part.stat().st_mtime > _ABANDONED_S:
                    part.unlink()
            except FileNotFoundError:  # another process was quicker
                continue


def _agree(file: Path, about: dict[str, str]) -> None:
    """Write what the entries are made with, or compare it.

    Raises:
        DataError: If they were made with something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except ValueError:
        logger.warning("  %s is damaged, and is written again", file)
        found = None
    if found is None:
        write_whole(file, json.dumps(about, indent=1).encode())
    elif found != about:
        held = found if isinstance(found, dict) else {}
        different = sorted(k for k in {*held, *about} if held.get(k) != about.get(k))
        raise DataError(
            f"{file.parent} holds features made with another {', '.join(different)}: {found}, not {about}. "
            "Delete the folder, or give this run another paths.data"
        )


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:_HASH_LETTERS]
