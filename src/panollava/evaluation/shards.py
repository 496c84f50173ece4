"""Which panoramas a process answers: a pure function of (sorted image ids, shard, number of shards).

::

    sorted image ids   a b c d e f g h i j
    --shard 1/3        a b c                    blocks, as even as they can be: their outputs, one after the other,
    --shard 2/3              d e f              are the output of one process
    --shard 3/3                    g h i j
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from panollava.data.manifest import Sample, read_manifest
from panollava.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

MANIFESTS = (".csv", ".tsv", ".json", ".jsonl")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".hdr", ".pic", ".exr")
_WRITTEN = re.compile(r"(\d+|auto)/(\d+)")
_PART_OF_ARRAY = (
    "shard auto: %s=%s and the first task is %d, so this is shard %d/%d; to run some tasks of a larger array again, "
    "write --shard auto/COUNT"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of the work.

    Attributes:
        number: From 1.
        count: How many parts there are.

    Raises:
        ConfigError: If there is no such part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ConfigError(f"shard {self.number}/{self.count} does not exist; shards are 1/{self.count} and up")

    @classmethod
    def parse(cls, text: str, *, environment: Mapping[str, str] = os.environ) -> "Shard":
        """Return the shard that is written ``3/8``, or, for ``auto``, that of this process.

        ``auto`` reads the task of a SLURM array, else RANK and WORLD_SIZE (torchrun), else the task of a SLURM step.
        ``auto/64`` is the task of a SLURM array numbered from 1, whichever of its 64 tasks are submitted.

        Raises:
            ConfigError: If the text is none of these, or nothing says which process this is.

        Example:
            >>> Shard.parse("auto", environment={"RANK": "2", "WORLD_SIZE": "8"})
            Shard(number=3, count=8)
            >>> Shard.parse("auto/64", environment={"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "1"})
            Shard(number=5, count=64)
        """
        if text == "auto":
            return _of_this_process(environment)
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise ConfigError(f"shard '{text}' is neither NUMBER/COUNT, for example 3/8, nor auto, nor auto/COUNT")
        if written[1] == "auto":
            return _of_array(environment, int(written[2]))
        return cls(int(written[1]), int(written[2]))

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return this part of the items.

        Example:
            >>> [Shard(n, 3).of("abcdefghij") for n in (1, 2, 3)]
            ['abc', 'def', 'ghij']
        """
        start, stop = (len(items) * n // self.count for n in (self.number - 1, self.number))
        return items[start:stop]

    def output(self, path: Path) -> Path:
        """Return the name of this part's output; that of the whole where there is one part only.

        Example:
            >>> Shard(3, 8).output(Path("out.jsonl")).name
            'out-00003-of-00008.jsonl'
        """
        if self.count == 1:
            return path
        return path.with_name(f"{path.stem}-{self.number:05d}-of-{self.count:05d}{path.suffix}")


def _of_this_process(environment: Mapping[str, str]) -> Shard:
    for first, number, count in (
        ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
        (None, "RANK", "WORLD_SIZE"),
        (None, "SLURM_PROCID", "SLURM_NTASKS"),
    ):
        if number in environment and count in environment:
            try:
                start = 0 if first is None else int(environment.get(first, "0"))
                step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1")) if first else 1
                of_part = first is not None and (int(environment[count]) == 1 or start > 1)
                shard = Shard((int(environment[number]) - start) // step + 1, int(environment[count]))
            except ValueError as error:
                raise ConfigError(f"shard auto: {number} and {count} are no whole numbers ({error})") from error
            if of_part:
                logger.warning(_PART_OF_ARRAY, count, environment[count], start, shard.number, shard.count)
            return shard
    raise ConfigError(
        "shard auto: nothing says which process this is (SLURM_ARRAY_TASK_ID and _COUNT, RANK and WORLD_SIZE, or "
        "SLURM_PROCID and SLURM_NTASKS); write --shard 3/8"
    )


def _of_array(environment: Mapping[str, str], count: int) -> Shard:
    """Return the shard of a task by its number alone: what else is submitted with it says nothing about the whole."""
    try:
        number = int(environment["SLURM_ARRAY_TASK_ID"])
        least = int(environment.get("SLURM_ARRAY_TASK_MIN", number))
    except KeyError as error:
        raise ConfigError(f"shard auto/{count}: this is no task of a SLURM array; write --shard 3/{count}") from error
    except ValueError as error:
        raise ConfigError(f"shard auto/{count}: SLURM_ARRAY_TASK_ID is no whole number ({error})") from error
    if least < 1:  # else task 5 were shard 6 here, and shard 5 where it is submitted again by itself
        raise ConfigError(
            f"shard auto/{count}: the SLURM array begins at {least}; number its tasks from 1 (--array=1-{count}), or "
            f"write --shard $((SLURM_ARRAY_TASK_ID + 1))/{count}"
        )
    if number > count:
        raise ConfigError(f"shard auto/{count}: SLURM_ARRAY_TASK_ID={number}; tasks are numbered from 1 to {count}")
    return Shard(number, count)


def questions_about(
    source: Path, *, questions: Sequence[str] = (), image_root: Path | None = None, check_images: bool = True
) -> list[Sample]:
    """Return what is to be answered: every question about every panorama, in the order of the image ids.

    Args:
        source: A panorama, a folder of panoramas (searched to its depths), or a manifest, whose answers are not needed.
        questions: What to ask about every panorama; empty: what the manifest asks.
        image_root: Folder of a manifest's relative paths; None: its own.
        check_images: Whether every image of a manifest must exist.

    Raises:
        DataError: If there is nothing to ask or nothing to ask about, or a row of the manifest is unusable.
    """
    repeated = sorted({q for q in questions if questions.count(q) > 1} | {q for q in questions if not q.strip()})
    if repeated:
        raise DataError(f"the question '{repeated[0]}' is empty or given twice; ask it once")
    if source.suffix.lower() in MANIFESTS and not source.is_dir():
        samples = read_manifest(source, image_root=image_root, check_images=check_images, require_answer=False)
        if not questions:
            return sorted(samples, key=lambda sample: sample.image_id)
        first = {sample.image_id: sample.image for sample in reversed(samples)}
    elif not questions:
        raise DataError(f"{source} asks nothing; add --question, or give a manifest with questions")
    else:
        first = {file.relative_to(source).as_posix(): file for file in _pictures(source)} if source.is_dir() else {}
        first = first or {source.name: source}
    return [
        Sample(image, query, None, "open", f"{image_id}#{number}", image_id, str(source), number)
        for image_id, image in sorted(first.items())
        for number, query in enumerate(questions, start=1)
    ]


def _pictures(folder: Path) -> list[Path]:
    found = [file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and file.is_file()]
    if not found:
        raise DataError(f"{folder} holds no panoramas; looked for {' '.join(PICTURES)}")
    return found


def part_of(samples: Sequence[Sample], shard: Shard) -> list[Sample]:
    """Return the samples of a shard: all the questions about its panoramas, in the order given.

    Args:
        samples: Sorted by image id.
        shard: The part.
    """
    mine = set(shard.of(list(dict.fromkeys(sample.image_id for sample in samples))))
    return [sample for sample in samples if sample.image_id in mine]
