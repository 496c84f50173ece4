"""Images that cannot be used: found once, before a run reads any, and left out with all their rows.

::

    samples -> each image opened as the run will open it -> the sound ones, in their order
                       |                                 '-> Skipped: image, reason, manifest, rows
                       '-- verdicts kept in <paths.data>/image-checks-<options>.jsonl, by path, size and time

Which panoramas are left decides the order of training, so a verdict is a function of the file and the options. What
may pass by itself (no permission, a disk that does not answer) is asked for anew every time. An image that turns bad
later is an error of the run.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import PIL

from panollava.data.images import ImageOptions, open_with_options
from panollava.data.manifest import PanoramaSamples, Sample
from panollava.errors import DataError

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raise it when another reader accepts other files."""
_LISTED = 5
_AT_ONCE = 256
_THREADS = 8  # each holds a picture

Key = tuple[str, int, int]
"""Path, size in bytes, and time of the last change in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that is left out.

    Attributes:
        image: The file.
        reason: What is wrong with it.
        source: The manifest that names it.
        rows: The rows of the manifest that ask about it.
    """

    image: str
    reason: str
    source: str
    rows: tuple[int, ...]


class ImageChecks:
    """Whether images can be opened; what was seen once is not decoded again while file and options are the same.

    Args:
        folder: Where verdicts are kept; made if absent.
        options: How the run reads files.
    """

    def __init__(self, folder: Path, *, options: ImageOptions) -> None:
        self._options = options
        facts = json.dumps([FORMAT, PIL.__version__, asdict(options)])
        self._file = folder / f"image-checks-{hashlib.sha256(facts.encode()).hexdigest()[:12]}.jsonl"
        self._known = dict(_verdicts(self._file))

    def reasons(self, paths: Sequence[Path]) -> list[str | None]:
        """Return what is wrong with each file; None for one that can be opened."""
        keys = [_key(path) for path in paths]
        new = [i for i, key in enumerate(keys) if key is None or key not in self._known]
        found: dict[int, str | None] = {i: self._known[key] for i, key in enumerate(keys) if key in self._known}
        if new:
            logger.info("  opening %s once, to find what cannot be used", _counted(len(new), "panorama"))
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as crew:
            for start in range(0, len(new), _AT_ONCE):
                some = new[start : start + _AT_ONCE]
                seen = list(crew.map(self._open, [paths[i] for i in some]))
                found |= dict(zip(some, (reason for reason, _ in seen), strict=True))
                self._keep((keys[i], reason) for i, (reason, lasts) in zip(some, seen, strict=True) if lasts)
        return [found[i] for i in range(len(paths))]

    def _open(self, path: Path) -> tuple[str | None, bool]:
        """Return what is wrong with a file, and whether that lasts as long as the file is the same."""
        try:
            # A JPEG is read to its end at any scale; the coarsest is the quickest.
            open_with_options(path, min_width=1, options=self._options)
        except DataError as error:
            cause = error.__cause__
            passes = isinstance(cause, OSError) and cause.errno is not None  # Pillow's own have no number
            return str(error).removeprefix(f"{path}: "), not passes
        return None, True

    def _keep(self, verdicts: Iterable[tuple[Key | None, str | None]]) -> None:
        """Add lines to the file; one that a kill cuts is not read, and its image is opened again."""
        lines = [json.dumps([*key, reason]) for key, reason in verdicts if key is not None]
        if lines:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("ab") as file:
                file.write("".join(f"\n{line}\n" for line in lines).encode())


def left_after_skipping(
    sources: Sequence[Sequence[Sample]], *, checks: ImageChecks, max_fraction: float
) -> tuple[list[list[Sample]], list[Skipped]]:
    """Return the samples of each source whose image can be opened, and what was left out.

    Args:
        sources: The samples of each source.
        checks: What opens the images.
        max_fraction: Largest share of the panoramas that may be bad.

    Raises:
        DataError: If more are; it names the first of them.
    """
    images = list(dict.fromkeys(sample.image for source in sources for sample in source))
    reasons = dict(zip(images, checks.reasons(images), strict=True))
    bad = {image: reason for image, reason in reasons.items() if reason is not None}
    rows: dict[tuple[str, Path], list[int]] = {}
    for source in sources:
        for sample in source:
            if sample.image in bad and sample.row not in (held := rows.setdefault((sample.source, sample.image), [])):
                held.append(sample.row)
    skipped = [Skipped(str(image), bad[image], source, tuple(held)) for (source, image), held in rows.items()]
    if images and len(bad) / len(images) > max_fraction:
        raise DataError(_too_many(skipped, bad=len(bad), images=len(images), max_fraction=max_fraction))
    if skipped:
        _tell(skipped, bad=len(bad), images=len(images))
    return [[sample for sample in source if sample.image not in bad] for source in sources], skipped


@contextmanager
def rows_named(panoramas: Iterable[PanoramaSamples] | Iterable[Sample]) -> Iterator[None]:
    """Add the manifest and its row to what is said about an image of one of these panoramas.

    Raises:
        DataError: As it was raised inside, with manifest and row.

    Example:
        >>> sample = Sample(Path("a.jpg"), "what is behind?", None, "open", "1", "a.jpg", "train.csv", 7)
        >>> with rows_named([sample]):
        ...     raise DataError("a.jpg: the image is truncated.")
        Traceback (most recent call last):
        panollava.errors.DataError: train.csv, row 7: a.jpg: the image is truncated.
    """
    try:
        yield
    except DataError as error:
        for panorama in panoramas:
            if str(error).startswith(f"{panorama.image}: "):
                sample = panorama if isinstance(panorama, Sample) else panorama.samples[0]
                raise DataError(f"{sample.source}, row {sample.row}: {error}") from error
        raise


def _key(path: Path) -> Key | None:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return str(path.absolute()), state.st_size, state.st_mtime_ns


def _verdicts(file: Path) -> Iterator[tuple[Key, str | None]]:
    """Yield what a file of verdicts holds; a line that is not one is passed over."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            match json.loads(line):
                case [str(path), int(size), int(time_ns), str() | None as reason]:
                    yield (path, size, time_ns), reason
        except (ValueError, RecursionError):
            continue


def _too_many(skipped: Sequence[Skipped], *, bad: int, images: int, max_fraction: float) -> str:
    listed = "\n".join(f"  {_where(one)}: {one.image}: {one.reason}" for one in skipped[:_LISTED])
    others = len(skipped) - _LISTED
    more = f"\n  ... and {others} more" if others > 0 else ""
    return (
        f"{bad} of {_counted(images, 'panorama')} ({bad / images:.1%}) cannot be used, more than "
        f"data.max_bad_fraction={max_fraction:g}:\n{listed}{more}\nMend the files or their paths, or raise the limit."
    )


def _tell(skipped: Sequence[Skipped], *, bad: int, images: int) -> None:
    count = sum(len(one.rows) for one in skipped)
    logger.warning("  skipping %d of %s (%s)", bad, _counted(images, "panorama"), _counted(count, "row"))
    for one in skipped[:_LISTED]:
        logger.warning("    %s: %s: %s", _where(one), one.image, one.reason)


def _where(one: Skipped) -> str:
    return f"{one.source}, row {one.rows[0]}" + (f" and {len(one.rows) - 1} more" if len(one.rows) > 1 else "")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
