"""Many small sets of tensors in few files, which several processes may fill at once.

::

    <folder>/about.json               what all entries were made with
             <name>.safetensors       a shard: tensors "<key>/0", "<key>/1", ... of many entries
             <name>.json              the keys in it; written after it, so that what is listed is there

Nothing is changed once it is written. Every file is written aside and renamed; a shard's name is the hash of its keys,
so two processes that wrote the same entries wrote the same files, and others do not meet.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from panollava.errors import DataError

ABOUT = "about.json"
_OPEN_FILES = 64


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
        file = folder / ABOUT
        if not file.is_file():
            _write_aside(file, json.dumps(dict(about), indent=1))
        found = json.loads(file.read_text(encoding="utf-8"))
        if found != dict(about):
            different = sorted(k for k in {*found, *about} if found.get(k) != about.get(k))
            raise DataError(
                f"{folder} holds features made with another {', '.join(different)}: {found}, not {dict(about)}. "
                "Delete the folder, or give this run another paths.data"
            )
        self._shard_of: dict[str, str] = {}
        self._listed: set[str] = set()
        self._files: OrderedDict[str, Any] = OrderedDict()
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self._shard_of

    def refresh(self) -> None:
        """Look for shards that other processes have finished since."""
        for file in self.folder.glob("*.json"):
            if file.name != ABOUT and file.stem not in self._listed:
                for key in json.loads(file.read_text(encoding="utf-8")):
                    self._shard_of.setdefault(key, file.stem)
                self._listed.add(file.stem)

    def read(self, key: str) -> tuple[Tensor, ...]:
        """Return the tensors of an entry; only they are read from its shard.

        Raises:
            KeyError: If there is no such entry.
            DataError: If its shard is gone or damaged.
        """
        from safetensors import SafetensorError

        name = self._shard_of[key]
        try:
            file = self._open(name)
            count = int(file.metadata()[key])
            return tuple(file.get_tensor(f"{key}/{number}") for number in range(count))
        except (OSError, SafetensorError) as error:
            raise DataError(
                f"the features in {self.folder / name}.safetensors cannot be read: {error}. "
                f"Delete it and {name}.json; they are made again"
            ) from error

    def write(self, entries: Mapping[str, tuple[Tensor, ...]]) -> None:
        """Keep entries, in a shard of their own."""
        from safetensors.torch import save_file

        name = hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()[:24]
        part = self.folder / f"{name}.{os.getpid()}.part"
        tensors = {f"{key}/{n}": t.contiguous() for key, held in entries.items() for n, t in enumerate(held)}
        save_file(tensors, part, metadata={key: str(len(held)) for key, held in entries.items()})
        part.replace(self.folder / f"{name}.safetensors")
        _write_aside(self.folder / f"{name}.json", json.dumps(sorted(entries)))
        self._listed.add(name)
        self._shard_of.update(dict.fromkeys(entries, name))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}  # an open file does not travel to another process

    def _open(self, name: str) -> Any:
        from safetensors import safe_open

        if name not in self._files:
            self._files[name] = safe_open(self.folder / f"{name}.safetensors", framework="pt")
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(name)
        return self._files[name]


def _write_aside(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
