"""The output of a prediction: JSON lines, and beside them what they depend on, so that shards can be put together.

::

    out-00001-of-00002.jsonl             {"image", "question", "answer", "id"}, a line per question
    out-00001-of-00002.jsonl.meta.json   run, shard, rows, sha256, test: written last, so that a file with it is whole
    out-00001-of-00002.skipped.jsonl     {"image", "reason"}, where bad images are skipped
"""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from panollava.errors import DataError
from panollava.evaluation.shards import Shard

logger = logging.getLogger(__name__)

FORMAT = 1
PICTURES = "pictures"
"""The entry of ``Meta.run`` for the ids and sizes of the images of all shards."""

_OTHER_PICTURES = (
    " (names and bytes of the panoramas of all shards). Give the command of every shard again, with the same panoramas;"
    " one whose own are unchanged keeps its answers"
)


@dataclass(frozen=True, slots=True)
class Meta:
    """What an output says about itself.

    Attributes:
        run: What the answers of all shards depend on: checkpoint, settings, questions, pictures.
        shard, shards: Which part it is, from 1, and of how many.
        rows: Answers.
        skipped: Panoramas that could not be read.
        sha256: Of the output.
        format: Version of this layout.
        test: Per shard that it holds, a hash over paths, sizes and times of its images and what is asked about them;
            empty in a file of an earlier version.
    """

    run: dict[str, Any]
    shard: int
    shards: int
    rows: int
    skipped: int
    sha256: str
    format: int = FORMAT
    test: list[str] = field(default_factory=list)

    def differences(self, run: Mapping[str, Any], *, shard: Shard, test: Callable[[int], list[str]]) -> list[str]:
        """Return why these are not the answers to what is asked; empty where they are.

        Pictures of other shards make no difference.

        Args:
            run: What is asked, as in ``run``.
            shard: Which part of it.
            test: The hashes of that part, cut into so many shards.
        """
        odd = [key for key in sorted({*self.run, *run} - {PICTURES}) if self.run.get(key, ...) != run.get(key, ...)]
        told = [f"{key} differs" for key in odd]
        if (self.shard, self.shards) != (shard.number, shard.count):
            told.append(f"it is shard {self.shard}/{self.shards}")
        if not self.test:
            told.append("an earlier version wrote it, without what tells its pictures from others")
        elif self.test != test(len(self.test)):
            told.append("paths, sizes or times of pictures differ")
        return told


def meta_path(output: Path) -> Path:
    """Return where an output's meta is."""
    return output.with_name(f"{output.name}.meta.json")


def skipped_path(output: Path) -> Path:
    """Return where an output's skipped panoramas are listed."""
    return output.with_name(f"{output.stem}.skipped.jsonl")


def write_output(
    output: Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    skipped: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any],
    shard: Shard,
    test: Sequence[str] = (),
) -> Meta:
    """Write an output with its meta; each is whole or not there, the meta last.

    Raises:
        DataError: If they cannot be written.
    """
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")
    sha256 = hashlib.sha256(text).hexdigest()
    meta = Meta(dict(run), shard.number, shard.count, len(lines), len(skipped), sha256, test=list(test))
    try:
        meta_path(output).unlink(missing_ok=True)
        if skipped:
            _replace(skipped_path(output), "".join(json.dumps(row) + "\n" for row in skipped).encode())
        else:
            skipped_path(output).unlink(missing_ok=True)
        _replace(output, text)
        _write_meta(output, meta)
    except OSError as error:
        raise _unwritable(output, error) from error
    return meta


def with_run(output: Path, meta: Meta, *, run: Mapping[str, Any]) -> Meta:
    """Return the meta of an output with what is now known about all shards; it is written where it changed.

    Raises:
        DataError: If it cannot be written.
    """
    if meta.run == run:
        return meta
    meta = replace(meta, run=dict(run))
    try:
        _write_meta(output, meta)
    except OSError as error:
        raise _unwritable(output, error) from error
    return meta


def read_meta(output: Path) -> Meta | None:
    """Return the meta of an output that is whole; None where there is none, or the output is another.

    Raises:
        DataError: If the meta is not one.
    """
    file = meta_path(output)
    if not (file.is_file() and output.is_file()):
        return None
    try:
        meta = Meta(**json.loads(file.read_text(encoding="utf-8")))
        if not (isinstance(meta.run, dict) and isinstance(meta.test, list)):
            raise TypeError("run is no object, or test no list")
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: not the meta of an output ({error}). Remove it and predict again.") from error
    with output.open("rb") as stream:
        same = hashlib.file_digest(stream, "sha256").hexdigest() == meta.sha256
    return meta if same and meta.format == FORMAT else None


def merge(parts: Sequence[Path], *, output: Path) -> Meta:
    """Put the outputs of all shards together; the file is that of one process.

    Args:
        parts: The outputs, in any order.
        output: What to write; not one of the parts.

    Raises:
        DataError: If a shard is missing, given twice, unfinished, changed, or of another run or other pictures.
    """
    parts = [part for part in parts if not part.name.endswith(".skipped.jsonl")]  # a pattern names them, too
    metas: dict[Path, Meta] = {}
    for part in parts:
        meta = read_meta(part)
        if meta is None:
            raise DataError(f"{part} is not the finished output of a shard (no {meta_path(part).name} that fits it)")
        metas[part] = meta
    if not metas:
        raise DataError("nothing to merge: give the outputs of all shards")
    first, *others = metas.items()
    for path, meta in others:
        odd = sorted(k for k in {*meta.run, *first[1].run} if meta.run.get(k) != first[1].run.get(k))
        if odd or meta.shards != first[1].shards:
            message = f"{path} is of another run than {first[0]}: {', '.join(odd) or 'number of shards'} differs"
            raise DataError(message + (_OTHER_PICTURES if PICTURES in odd else ""))
    if PICTURES not in first[1].run:
        logger.warning("an earlier version wrote these shards; whether all are of the same pictures cannot be told")
    count = first[1].shards
    given = Counter(meta.shard for meta in metas.values())
    missing = [n for n in range(1, count + 1) if n not in given]
    double = [n for n, times in given.items() if times > 1]
    if missing or double or len(parts) != len(metas):
        told = [f"shard {n}/{count} is missing" for n in missing] + [
            f"shard {n}/{count} is given twice" for n in double
        ]
        raise DataError("; ".join(told) or "a file is given twice")
    ordered = sorted(metas, key=lambda path: metas[path].shard)
    if output in ordered:
        raise DataError(f"{output} is one of the parts; choose another name")
    rows = [row for part in ordered for row in _rows(part)]
    skipped = [row for part in ordered if metas[part].skipped for row in _rows(skipped_path(part))]
    seen = Counter((row["image"], row["question"], row["id"]) for row in rows)
    repeated = next((key for key, times in seen.items() if times > 1), None)
    if repeated is not None:
        raise DataError(
            f"the question '{repeated[1]}' about {repeated[0]} is answered twice; predict these shards again"
        )
    test = [one for part in ordered for one in metas[part].test]
    return write_output(output, rows, skipped=skipped, run=first[1].run, shard=Shard(), test=test)


def _write_meta(output: Path, meta: Meta) -> None:
    _replace(meta_path(output), (json.dumps(asdict(meta), indent=1) + "\n").encode())


def _unwritable(output: Path, error: OSError) -> DataError:
    return DataError(
        f"{output}: the answers cannot be written ({error.strerror or error}). Check the folder and the disk."
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _replace(path: Path, content: bytes) -> None:
    """Write a file aside, flush it to disk, and rename it."""
    aside = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
