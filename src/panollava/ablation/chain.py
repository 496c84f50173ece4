"""Which stages of different runs are one and the same: a hash over everything that a stage's weights follow from.

::

    stage    objective    its weights follow from
    any                   seed, the rows of the table up to it, data, trainer, and
             overlap      views, encoder; resampler and language model (whose loading draws numbers) if it trains that
             language     views, encoder, resampler, position, language model; the adapter once a stage trains it
    blind                 language model, adapter, the blind part of the rows

Two runs whose hash of a stage is equal would train it to the same bits, so one of them is enough.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava import __version__
from panollava.config import to_dict
from panollava.config.schema import PanollavaConfig
from panollava.config.stages import EMBEDDED_SOURCE

_NOT_LEARNED = ("log_every", "loggers", "save_every", "save_minutes", "keep_checkpoints", "memory_gb")
"""Keys of the trainer that leave the weights as they are."""
_NOT_TRAINED_ON = ("test", "workers")
"""Keys of the data, likewise."""
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """A stage that may be shared.

    Attributes:
        stage: Its name.
        key: Hash of what it follows from.
        upto: Names of the stages that lead to it, itself the last.
    """

    stage: str
    key: str
    upto: tuple[str, ...]


def chain(config: PanollavaConfig, *, blind: bool = False) -> tuple[Link, ...]:
    """Return the stages of a run with their hashes, in order.

    Example:
        >>> one, other = PanollavaConfig(), PanollavaConfig(lora={"r": 8})
        >>> [a.key == b.key for a, b in zip(chain(one), chain(other))]
        [True, True, False]
    """
    tree = to_dict(config)
    rows = [row for row in tree["stages"] if not blind or _trains_blind(row)]
    rows = [_blind_part(row) if blind else row for row in rows]
    links: list[Link] = []
    for place, row in enumerate(rows):
        parts = _follows_from(tree, rows[: place + 1], blind=blind)
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        key = f"{'blind-' if blind else ''}{row['name']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        links.append(Link(row["name"], key, tuple(r["name"] for r in rows[: place + 1])))
    return tuple(links)


def shared_links(runs: Mapping[str, Sequence[Link]]) -> dict[str, tuple[Link, ...]]:
    """Return of each run the stages to train aside: those that several runs need, where their ways part.

    A stage that leads to one shared by the same runs is trained on the way to that one.

    Example:
        >>> a, b = Link("vision", "v1", ("vision",)), Link("resampler", "r1", ("vision", "resampler"))
        >>> [link.key for link in shared_links({"x": [a, b], "y": [a, b], "z": [a]})["x"]]
        ['v1', 'r1']
        >>> [link.key for link in shared_links({"x": [a, b], "y": [a, b]})["x"]]
        ['r1']
    """
    users: dict[str, set[str]] = {}
    for run, links in runs.items():
        for link in links:
            users.setdefault(link.key, set()).add(run)
    found = {}
    for run, links in runs.items():
        common = [link for link in links if len(users[link.key]) > 1]
        further = {link.key: users[after.key] for link, after in itertools.pairwise(common)}
        found[run] = tuple(link for link in common if further.get(link.key) != users[link.key])
    return found


def _follows_from(tree: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, blind: bool) -> dict[str, Any]:
    names = {"language", "lora"} if blind else _sections(rows)
    if blind and tree["data"]["augment"] != to_dict(PanollavaConfig())["data"]["augment"]:
        names |= {"views", "vision"}  # how a panorama is turned depends on its views, and texts turn with it
    data = {key: value for key, value in tree["data"].items() if key not in _NOT_TRAINED_ON}
    sources = {entry["source"] for part in ("train", "val") for entry in data[part]}
    sources |= {entry["source"] for row in rows for entry in row["data"] or ()}
    return {
        "version": __version__,
        "blind": blind,
        "seed": tree["experiment"]["seed"],
        "stages": list(rows),
        "data": data,
        "files": {source: _content(source) for source in sorted(sources) if source != EMBEDDED_SOURCE},
        "folders": {name: folder_hash(Path(name)) for name in sorted(_models(tree)) if Path(name).is_dir()},
        "trainer": {key: value for key, value in tree["trainer"].items() if key not in _NOT_LEARNED},
        **{name: tree[name] for name in sorted(names)},
    }


def _sections(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the sections that the weights after these stages follow from."""
    names = {"views", "vision"}
    if any("resampler" in row["trains"] for row in rows):
        names |= {"resampler", "language"}
    if any(row["objective"] == "language" for row in rows):
        names |= {"resampler", "position", "language"}
    if any("adapter" in row["trains"] for row in rows):
        names.add("lora")
    return names


def _trains_blind(row: Mapping[str, Any]) -> bool:
    return row["objective"] == "language" and "adapter" in row["trains"]


def _blind_part(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "trains": ["adapter"], "lr": {"adapter": row["lr"]["adapter"]}}


def files_hash(config: PanollavaConfig) -> str:
    """Return a hash of what a configuration names and does not hold: manifests, and folders of models."""
    tree = to_dict(config)
    entries = [*tree["data"]["train"], *tree["data"]["val"], *tree["data"]["test"]]
    entries += [entry for row in tree["stages"] for entry in row["data"] or ()]
    sources = sorted({entry["source"] for entry in entries} - {EMBEDDED_SOURCE})
    found = [(source, _content(source)) for source in sources]
    found += [(name, folder_hash(Path(name))) for name in sorted(_models(tree)) if Path(name).is_dir()]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def folder_hash(folder: Path) -> str:
    """Return a hash of the files of a model's folder: of small ones the bytes, of large ones size and time."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = file.stat()
        small = stat.st_size <= _SMALL_BYTES
        told = _bytes_hash((str(file), stat.st_size, stat.st_mtime_ns)) if small else str(stat.st_mtime_ns)
        found.append((file.relative_to(folder).as_posix(), stat.st_size, told))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def _models(tree: Mapping[str, Any]) -> set[str]:
    return {str(tree[part]["model"]) for part in ("vision", "language")}


def _content(source: str) -> str | None:
    """Return the hash of a manifest's bytes; None where it is not there (its run will tell)."""
    file = Path(source)
    if not file.is_file():
        return None
    stat = file.stat()
    return _bytes_hash((source, stat.st_size, stat.st_mtime_ns))


@functools.lru_cache(maxsize=1024)
def _bytes_hash(version: tuple[str, int, int]) -> str:
    """Return the hash of the bytes of a file: its path, with the size and the time by which a change is noticed."""
    return hashlib.sha256(Path(version[0]).read_bytes()).hexdigest()
