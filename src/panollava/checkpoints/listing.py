"""The checkpoints below a folder, with what they say about themselves."""

import contextlib
import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.checkpoints.durable import OLD, is_stranded
from panollava.checkpoints.manifest import MANIFEST, META, Contents
from panollava.checkpoints.meta import CheckpointMeta, meta_of
from panollava.errors import CheckpointError

HEADINGS = ("checkpoint", "run", "stage", "epoch", "step", "views", "val loss", "size", "age", "state")
BEST = "best"


@dataclass(frozen=True, slots=True)
class Listing:
    """A checkpoint in a list.

    Attributes:
        folder: Where it is.
        meta: What it says about itself; None if that cannot be read.
        bytes: Size of its files.
        damage: What is wrong with it, if anything.
    """

    folder: Path
    meta: CheckpointMeta | None
    bytes: int
    damage: str | None = None

    @property
    def name(self) -> str:
        """The name that it has, or had before a crash: ``last``, ``best``, ``step-000120``."""
        return self.folder.name[1 : -len(OLD)] if is_stranded(self.folder) else self.folder.name

    @property
    def state(self) -> str:
        """``ok``, ``damaged``, or ``unfinished``: from inside a stage, to go on from."""
        if self.damage is not None:
            return "damaged"
        return "ok" if self.meta is None or self.meta.finished or self.name == BEST else "unfinished"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain tree; what cannot be read is None."""
        meta = self.meta
        told: dict[str, Any] = dict.fromkeys(("run", "stage", "epoch", "step", "views", "blind", "val_loss", "created"))
        if meta is not None:
            told = {
                "run": meta.name,
                "stage": meta.stage,
                "epoch": meta.epoch,
                "step": meta.step,
                "views": meta.views,
                "blind": meta.blind,
                "val_loss": meta.val_loss,
                "created": meta.created,
            }
        return {"path": str(self.folder), **told, "bytes": self.bytes, "state": self.state, "damage": self.damage}


def found_below(root: Path, *, verify: bool = False) -> list[Listing]:
    """Return every checkpoint below a folder, of which there is at least one.

    Args:
        root: The folder.
        verify: Read every byte.

    Raises:
        CheckpointError: If there is none.
    """
    if not root.is_dir():
        raise CheckpointError(f"{root} is no directory; give one that holds checkpoints")
    found = list_checkpoints(root, verify=verify)
    if not found:
        raise CheckpointError(f"no checkpoint below {root}; a checkpoint is a directory with a {MANIFEST}")
    return found


def list_checkpoints(root: Path, *, verify: bool = False) -> list[Listing]:
    """Return every checkpoint below a folder, or the folder itself, in the order of the paths.

    Args:
        root: The folder.
        verify: Read every byte; otherwise only metadata are read, and which files there are, and how large.
    """
    return [look(folder, verify=verify) for folder in checkpoint_folders(root)]


def look(folder: Path, *, verify: bool = False) -> Listing:
    """Return what there is to say of one checkpoint; damage is no error here.

    Args:
        folder: The checkpoint.
        verify: Read every byte.
    """
    meta, size = None, 0
    try:
        contents = Contents.open(folder)
        size = contents.size()
        meta = meta_of(contents)
        if verify:
            contents.check()
        else:
            contents.check_sizes()
    except CheckpointError as error:
        size = size or sum(f.lstat().st_size for f in folder.iterdir() if not f.is_dir())
        return Listing(folder, meta, size, str(error))
    return Listing(folder, meta, size)


def checkpoint_folders(root: Path) -> list[Path]:
    """Return the folders below a folder, or itself, that are checkpoints or were: what is half written is none."""
    found = {file.parent for file in root.rglob(MANIFEST)}
    found |= {file.parent for file in root.rglob(META) if any(file.parent.glob("*.safetensors"))}
    return sorted(folder for folder in found if _is_named(folder, root))


def table(listings: Iterable[Listing], *, root: Path | None = None) -> str:
    """Return a table of checkpoints for people.

    Args:
        listings: The checkpoints.
        root: Show paths from here.
    """
    return text_table(HEADINGS, [_cells(listing, root) for listing in listings])


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines whose columns stand below their headings.

    Example:
        >>> print(text_table(["a", "bcd"], [["long", "1"]]))
        a     bcd
        long  1
    """
    lines = [list(headings), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size_text(size: int) -> str:
    """Return a size for people.

    Example:
        >>> size_text(950), size_text(1_234_567)
        ('950 B', '1.2 MB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size} B"


def age_days(meta: CheckpointMeta | None, folder: Path) -> float:
    """Return how many days ago a checkpoint was written: by what it says, else by its folder."""
    then = folder.stat().st_mtime
    if meta is not None and meta.created:
        with contextlib.suppress(ValueError):
            then = datetime.datetime.fromisoformat(meta.created).timestamp()
    return max(0.0, (datetime.datetime.now(datetime.UTC).timestamp() - then) / 86400)


def age_text(days: float) -> str:
    """Return an age for people.

    Example:
        >>> age_text(0.001), age_text(0.5), age_text(3)
        ('1 min', '12 h', '3 d')
    """
    minutes = days * 24 * 60
    if minutes < 60:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{days:.0f} d"


def _cells(listing: Listing, root: Path | None) -> list[str]:
    folder, meta = listing.folder, listing.meta
    path = str(folder.relative_to(root)) if root is not None and folder != root else str(folder)
    told = ["-"] * 6
    if meta is not None:
        loss = "-" if meta.val_loss is None else f"{meta.val_loss:.4f}"
        told = [meta.name or "-", meta.stage, str(meta.epoch), str(meta.step), meta.views, loss]
    return [path, *told, size_text(listing.bytes), age_text(age_days(meta, folder)), listing.state]


def _is_named(folder: Path, root: Path) -> bool:
    """Whether a folder has a checkpoint's name: not one being written, nor one whose successor has its name."""
    *above, last = ("", *folder.relative_to(root).parts)
    hidden = last.startswith(".") and not is_stranded(folder)
    return not hidden and not any(part.startswith(".") for part in above)
