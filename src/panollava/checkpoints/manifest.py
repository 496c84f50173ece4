"""The manifest of a checkpoint: which files it has, their sizes and hashes, and a hash of itself.

::

    {
     "files": {
      "adapter.safetensors": {
       "bytes": 8176,
       "sha256": "5f0c..."
      },
      ...
     },
     "format": 2,
     "sha256": "..."              of this text without this line, so that no bit of it can change unseen
    }

The text is compared byte for byte with the one that its own content would be written as. Names are plain: a manifest
cannot point outside its folder. In format 1 it was a table of names and hashes.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from panollava.errors import CheckpointError

FORMAT = 2
FORMATS = (1, 2)
MANIFEST, META = "manifest.json", "meta.json"
LARGEST_JSON = 64 * 2**20
"""Bytes; a larger JSON file is refused before it is read."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{64}")
_CHUNK = 2**20
_CHANGED = "has changed since it was written"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a manifest says of a file."""

    sha256: str
    bytes: int | None
    """Size; None where format 1 does not say."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a checkpoint, as its manifest lists them. Nothing else in the folder is ever read.

    Attributes:
        folder: The checkpoint.
        format: Version of its layout.
        files: What is known of each file, by name.
    """

    folder: Path
    format: int
    files: dict[str, Listed]

    @classmethod
    def open(cls, folder: Path) -> "Contents":
        """Read the manifest of a checkpoint.

        Raises:
            CheckpointError: If there is none, or it is not as it was written.
        """
        if not (folder / MANIFEST).is_file():
            if (folder / META).is_file():
                raise damage(folder, MANIFEST, "is missing")
            raise CheckpointError(f"{folder} is no checkpoint: it has no {MANIFEST}")
        with _opened(folder, MANIFEST) as stream:
            raw = _all_of(stream, folder, MANIFEST)
        tree = parse_json(raw, folder=folder, name=MANIFEST)
        if not isinstance(tree, dict):
            raise damage(folder, MANIFEST, "is no table")
        version = tree.get("format", 1)
        if version not in FORMATS and isinstance(version, int):
            raise other_format(folder, version, where=MANIFEST)
        files = _format_1(tree, folder) if version == 1 else _format_2(tree, raw, folder)
        if META not in files:
            raise damage(folder, MANIFEST, f"does not list {META}")
        return cls(folder, version, files)

    def check(self, names: Iterable[str] | None = None) -> None:
        """Compare files with the manifest, a small piece in memory at a time.

        Args:
            names: Which; None: all.

        Raises:
            CheckpointError: If one is missing or is not as it was written.
        """
        for name in self.files if names is None else names:
            digest = hashlib.sha256()
            with self._opened(name) as stream:
                while piece := stream.read(_CHUNK):
                    digest.update(piece)
            self._compare(name, digest.hexdigest())

    def check_sizes(self) -> None:
        """Compare only which files there are, and how large, without reading them.

        Raises:
            CheckpointError: If one is missing or has another size.
        """
        for name in self.files:
            with self._opened(name):
                pass

    def read(self, name: str) -> bytes:
        """Return the bytes of a file: these very bytes were compared with the manifest.

        Raises:
            CheckpointError: If it is not listed, missing, or is not as it was written.
        """
        with self._opened(name) as stream:
            raw = _all_of(stream, self.folder, name) if name.endswith(".json") else stream.read()
        self._compare(name, hashlib.sha256(raw).hexdigest())
        return raw

    def size(self) -> int:
        """Return the bytes of all files that are there."""
        files = [self.folder / name for name in (MANIFEST, *self.files)]
        return sum(file.lstat().st_size for file in files if file.is_file())

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file that has the size it should have: what has grown is not read to find that out."""
        if name not in self.files:
            raise damage(self.folder, MANIFEST, f"does not list {name}")
        with _opened(self.folder, name) as stream:
            size, wanted = os.fstat(stream.fileno()).st_size, self.files[name].bytes
            if wanted not in (None, size):
                raise damage(self.folder, name, f"{_CHANGED} ({size:,} bytes, not {wanted:,})")
            yield stream

    def _compare(self, name: str, digest: str) -> None:
        if digest != self.files[name].sha256:
            raise damage(self.folder, name, _CHANGED)


def write_manifest(folder: Path) -> None:
    """List every file of a folder in its manifest."""
    files = {}
    for file in sorted(folder.iterdir()):
        if file.name != MANIFEST:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files[file.name] = Listed(digest, file.stat().st_size)
    (folder / MANIFEST).write_bytes(_text(files))


def damage(folder: Path, name: str, what: str) -> CheckpointError:
    """Return the error of a file that is not as it was written.

    Example:
        >>> str(damage(Path("runs/a/vision/last"), "meta.json", "is missing"))
        'runs/a/vision/last is damaged: meta.json is missing; use another checkpoint'
    """
    return CheckpointError(f"{folder} is damaged: {name} {what}; use another checkpoint")


def other_format(folder: Path, version: object, *, where: str) -> CheckpointError:
    """Return the error of a checkpoint that another version wrote."""
    readable = " and ".join(map(str, FORMATS))
    return CheckpointError(f"{folder} has format {version} ({where}); this version reads formats {readable}")


def parse_json(raw: bytes, *, folder: Path, name: str) -> Any:
    """Return the tree of a JSON file.

    Raises:
        CheckpointError: If it is none, or names a key twice.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, a key twice, a huge number
        raise damage(folder, name, f"is no JSON ({error})") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a key stands twice in one table")
    return tree


def _text(files: dict[str, Listed]) -> bytes:
    """Return the one text that a manifest of these files has."""
    tree: dict[str, Any] = {
        "files": {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in sorted(files.items())},
        "format": FORMAT,
    }
    own = hashlib.sha256(json.dumps(tree, indent=1).encode()).hexdigest()
    return json.dumps({**tree, "sha256": own}, indent=1).encode()


def _format_1(tree: dict[str, Any], folder: Path) -> dict[str, Listed]:
    return {_plain(name, folder): Listed(_hash(value, folder), None) for name, value in tree.items()}


def _format_2(tree: dict[str, Any], raw: bytes, folder: Path) -> dict[str, Listed]:
    table = tree.get("files")
    if not isinstance(table, dict):
        raise damage(folder, MANIFEST, "lists no files")
    files = {}
    for name, entry in table.items():
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if not isinstance(size, int):
            raise damage(folder, MANIFEST, f"has no size for {name!r}")
        files[_plain(name, folder)] = Listed(_hash(entry.get("sha256"), folder), size)
    if _text(files) != raw:
        raise damage(folder, MANIFEST, _CHANGED)
    return files


def _plain(name: str, folder: Path) -> str:
    if not _NAME.fullmatch(name) or name == MANIFEST:
        raise damage(folder, MANIFEST, f"lists {name[:100]!r}, which is no plain name of a file in it")
    return name


def _hash(value: object, folder: Path) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise damage(folder, MANIFEST, f"holds {str(value)[:80]!r} where a sha256 should be")
    return value


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Open a plain file of a checkpoint; a link could lead out of it, and a pipe would never end."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise damage(folder, name, "is no plain file")
            yield stream
    except FileNotFoundError as error:
        raise damage(folder, name, "is missing") from error
    except OSError as error:
        what = "is a link" if (folder / name).is_symlink() else f"cannot be read ({error.strerror})"
        raise damage(folder, name, what) from error


def _all_of(stream: BinaryIO, folder: Path, name: str) -> bytes:
    raw = stream.read(LARGEST_JSON + 1)
    if len(raw) > LARGEST_JSON:
        raise damage(folder, name, f"is larger than {LARGEST_JSON:,} bytes, which no {name} is")
    return raw
