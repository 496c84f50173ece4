"""Manifests: questions about panoramas, with answers, in any of the layouts people have.

    file -> formats/*: Record (text, row, column names) -> image looked up, text checked -> Sample

    .csv .tsv   by heading: url,query,annotation | url,instruction,response |
                image_path,original_query,prediction,reference
    .json       a list of LLaVA items {image, conversations} or flat items
    .jsonl      one item per line, flat: {"image", "query", "answer", "type"?, "id"?}

Nothing is dropped, filled in or downloaded: a row that cannot be used is an error that names file, row and
column.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panollava.data.formats.json_items import read_json, read_jsonl
from panollava.data.formats.record import Record, bad_cell
from panollava.data.formats.table import read_table
from panollava.data.image_paths import ImageFile, ImageFinder
from panollava.data.order import permutation
from panollava.errors import DataError, unknown_name

DEFAULT_KIND = "open"
_READERS: Mapping[str, Callable[..., Iterator[Record]]] = {
    ".csv": read_table,
    ".tsv": read_table,
    ".json": read_json,
    ".jsonl": read_jsonl,
}
_LISTED_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one panorama.

    Attributes:
        image: The image file.
        query: The question; never empty.
        answer: The reference answer; None only where the manifest was read with `require_answer=False`.
        kind: The question's type, for scores per type; `DEFAULT_KIND` where the manifest has none.
        sample_id: Unique within a manifest: the manifest's id (the second holder of an id gets `@` and its
            place appended), or `<file stem>:<place>`; the place is the row, or the item number in a `.json`
            list.
        image_id: The image's path below the image root: the same on every machine.
        source: The manifest's path as given.
        row: 1-based line of the manifest, as an editor shows it.
        prediction: A model's answer; None where there is none, `""` where the model said nothing.
    """

    image: Path
    query: str
    answer: str | None
    kind: str
    sample_id: str
    image_id: str
    source: str
    row: int
    prediction: str | None = None


@dataclass(frozen=True, slots=True)
class PanoramaSamples:
    """One panorama with all its questions: encode once, ask many.

    Attributes:
        image: The image file.
        samples: Its questions, in the order of the input; at least one.
    """

    image: Path
    samples: tuple[Sample, ...]


def read_manifest(
    path: str | Path,
    *,
    image_root: str | Path | None = None,
    check_images: bool = True,
    require_answer: bool = True,
    follow_links: bool = False,
) -> list[Sample]:
    r"""Read a manifest of any known layout.

    Args:
        path: A `.csv`, `.tsv`, `.json` or `.jsonl` file in UTF-8.
        image_root: Folder of relative image paths; the manifest's own folder by default. A relative path may
            not leave it by `..`; an absolute path is taken as it is.
        check_images: Whether every image file must exist (its content is not read).
        require_answer: Whether every row needs an answer, as training does.
        follow_links: Whether a relative path may be a link that leads out of the folder of the images.

    Returns:
        The samples in file order; a conversation of n questions gives n samples.

    Raises:
        DataError: What is wrong and the fix, with file, row and column; of unusable rows the first five.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = path.write_text("url,query,annotation\na.jpg,sky,The sky is clear.\n", encoding="utf-8")
        >>> [sample] = read_manifest(path, check_images=False)
        >>> sample.sample_id, sample.image_id, sample.query, sample.answer
        ('train:2', 'a.jpg', 'sky', 'The sky is clear.')
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: {unknown_name('manifest format', path.suffix, _READERS)} Convert or rename it.")
    root = path.parent if image_root is None else Path(image_root)
    finder = ImageFinder(path, root, check_images, follow_links)
    samples: list[Sample] = []
    problems: list[str] = []
    ids: set[str] = set()
    for record in reader(path, require_answer=require_answer):
        try:
            image = _checked(record, path, finder, require_answer=require_answer)
        except DataError as error:
            problems.append(str(error))
            continue
        sample_id = record.sample_id or f"{path.stem}:{record.key}"
        while sample_id in ids:
            sample_id = f"{sample_id}@{record.key}"
        ids.add(sample_id)
        samples.append(_sample(record, image, sample_id, str(path)))
    if problems:
        raise DataError(_summary(problems))
    if not samples:
        raise DataError(f"{path}, row 1, column 'url': the manifest has no samples. Add at least one row.")
    return samples


def group_by_image(samples: Sequence[Sample]) -> list[PanoramaSamples]:
    """Group samples by image file; images and samples keep the order in which they first appear."""
    groups: dict[Path, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.image, []).append(sample)
    return [PanoramaSamples(image, tuple(group)) for image, group in groups.items()]


def mix(sources: Sequence[Sequence[Sample]], *, weights: Sequence[float], seed: int, epoch: int = 0) -> list[Sample]:
    """Mix sources into one epoch, in an order that is a pure function of (sources, weights, seed, epoch).

    A weight is the number of passes: 1 gives every row once, 2 every row twice, 0.5 half of the rows
    (rounded, at least one). A partial pass continues where the last epoch's ended, so weight 0.5 sees every
    row in two epochs. All epochs have the same length.

    Args:
        sources: The samples of each source.
        weights: One weight per source, finite and >= 0.
        seed: Any integer.
        epoch: Epoch number, from 0.

    Returns:
        The samples of the epoch, shuffled across sources.

    Raises:
        DataError: Weights that do not fit the sources, or nothing to mix.
    """
    if len(sources) != len(weights):
        raise DataError(f"{len(sources)} sources and {len(weights)} weights; give one weight per source.")
    picked: list[Sample] = []
    for number, (source, weight) in enumerate(zip(sources, weights, strict=True)):
        if not math.isfinite(weight) or weight < 0:
            raise DataError(f"weight {weight} of source {number}; a weight is finite and >= 0, such as 1 or 0.5.")
        if weight > 0 and not source:
            raise DataError(f"source {number} has weight {weight} and no samples; set weight 0 or remove it.")
        picked += [source[index] for index in _picks(len(source), weight, seed=seed, epoch=epoch, source=number)]
    if not picked:
        raise DataError("the mixture is empty; give at least one source a weight above 0.")
    order = permutation(len(picked), seed=seed, epoch=epoch, stream=-1)
    return [picked[index] for index in order.tolist()]


def _picks(count: int, weight: float, *, seed: int, epoch: int, source: int) -> list[int]:
    """Return the indices one source gives to an epoch: whole passes, then a window of a fixed shuffle."""
    whole = math.floor(weight)
    part = math.floor((weight - whole) * count + 0.5)
    if weight > 0 and whole == 0:
        part = max(part, 1)
    indices = list(range(count)) * whole
    if part:
        shuffled = permutation(count, seed=seed, stream=source).tolist()
        start = epoch * part
        indices += [shuffled[(start + offset) % count] for offset in range(part)]
    return indices


def _checked(record: Record, path: Path, finder: ImageFinder, *, require_answer: bool) -> ImageFile:
    """Check the texts of a record and find its image."""
    texts = {
        "image": record.image,
        "query": record.query,
        "answer": record.answer or "",
        "kind": record.kind,
        "id": record.sample_id,
        "prediction": record.prediction or "",
    }
    for field, text in texts.items():
        wrong = _unwritable(text)
        if wrong is not None:
            raise bad_cell(path, record.where, record.columns[field], f"it contains {wrong}; remove it")
    if record.image in ("", "nan", "NaN"):
        raise bad_cell(path, record.where, record.columns["image"], "no image; write the image file's path")
    if not record.query:
        raise bad_cell(path, record.where, record.columns["query"], "no question; write one or remove the row")
    if require_answer and record.answer is None:
        raise bad_cell(
            path,
            record.where,
            record.columns["answer"],
            "no answer; write one, remove the row, or read with require_answer=False",
        )
    try:
        return finder.find(record.image)
    except DataError as error:
        raise bad_cell(path, record.where, record.columns["image"], str(error)) from error


def _unwritable(text: str) -> str | None:
    """Name a character that no file name, tokenizer or output file can take."""
    if "\0" in text:
        return "a NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "half a surrogate pair"
    return None


def _sample(record: Record, image: ImageFile, sample_id: str, source: str) -> Sample:
    return Sample(
        image=image.path,
        query=record.query,
        answer=record.answer,
        kind=record.kind or DEFAULT_KIND,
        sample_id=sample_id,
        image_id=image.image_id,
        source=source,
        row=record.row,
        prediction=record.prediction,
    )


def _summary(problems: Sequence[str]) -> str:
    """Join the first problems, one per line, and count the others."""
    listed = "\n".join(problems[:_LISTED_PROBLEMS])
    others = len(problems) - _LISTED_PROBLEMS
    return f"{listed}\n... and {others} more unusable rows." if others > 0 else listed
