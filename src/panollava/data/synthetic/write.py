"""Write SurroundQA to a folder that any loader reads.

::

    OUT/images/<scene_id>.jpg      panoramas, named by what they show
    OUT/{train,val,test}.jsonl     {"id", "image", "query", "answer", "type", "template"}
    OUT/{train,val,test}.csv       the same questions as url,query,annotation
    OUT/scenes.jsonl               ground truth of every scene
    OUT/truth/<scene_id>.npz       instance mask and depth, if asked for
    OUT/recipe.json                what determines all of it, and its hash; written last
"""

import csv
import hashlib
import io
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

from panollava import __version__
from panollava.data.synthetic.captions import draw_captions
from panollava.data.synthetic.pictures import Picture, replace_file, write_pictures
from panollava.data.synthetic.questions import Question, QuestionSampler
from panollava.data.synthetic.recipe import (
    PARTIAL_FILE,
    RECIPE_FILE,
    RECIPE_VERSION,
    Recipe,
    SynthesisSummary,
    load_recipe,
    recipe_text,
)
from panollava.data.synthetic.scene import Scene, sample_scene
from panollava.data.synthetic.vocabulary import SPLITS
from panollava.data.whole_file import to_disk, write_whole
from panollava.errors import DataError

__all__ = ["SynthesisSummary", "load_recipe", "synthesize"]

MIN_WIDTH = 64
CSV_COLUMNS = ("url", "query", "annotation")
TABLES = (*(f"{split}.{suffix}" for split in SPLITS for suffix in ("jsonl", "csv")), "scenes.jsonl")
_PICTURE = re.compile(r"[0-9a-f]{16}\.(jpg|npz)")
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.(tmp|part)")
_FEW = 16  # not worth a second process


def synthesize(
    out: str | Path,
    *,
    count: int,
    seed: int,
    width: int = 512,
    questions_per_panorama: int = 24,
    workers: int | None = None,
    ground_truth: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SynthesisSummary:
    """Write ``count`` panoramas with questions, captions and ground truth; do nothing if they are there.

    The bytes depend on ``count``, ``seed``, ``width`` and ``questions_per_panorama`` only. A panorama belongs
    to train, val or test by the hash of its scene, so a small data set may have none in a split: its tables
    are then empty. Questions are balanced in each split on its own.

    Args:
        out: A folder: new, empty, or one that this function wrote. What an interrupted run left is rewritten.
        count: Panoramas over all splits.
        seed: Names the endless sequence of scenes, of which the first ``count`` are taken.
        width: Width in pixels, even; the height is half.
        questions_per_panorama: Questions for each panorama, captions not counted.
        workers: Processes that render; one per available CPU by default.
        ground_truth: Whether to write instance masks and depth too.
        progress: Called with (done, count) after every panorama.

    Raises:
        DataError: If a number is out of range, the folder holds other data, or it cannot be written.
    """
    folder = Path(out)
    recipe = Recipe(RECIPE_VERSION, count, seed, width, questions_per_panorama)
    _check(recipe, workers)
    try:
        found = _existing(folder, recipe)
        if found and _is_whole(found) and (found.ground_truth or not ground_truth):
            if (folder / PARTIAL_FILE).is_file():  # a process died right before it removed this
                (folder / PARTIAL_FILE).unlink()
            return found
        ground_truth = ground_truth or bool(found and found.ground_truth)
        return _write(folder, recipe, _processes(workers, count), ground_truth, progress)
    except OSError as error:
        raise DataError(f"{folder}: SurroundQA cannot be written ({error}). Check the folder and the disk.") from error


def _write(
    folder: Path,
    recipe: Recipe,
    workers: int,
    ground_truth: bool,
    progress: Callable[[int, int], None] | None,
) -> SynthesisSummary:
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / PARTIAL_FILE, b"{}\n")
    (folder / RECIPE_FILE).unlink(missing_ok=True)
    scenes = (sample_scene(recipe.seed, index) for index in range(recipe.count))
    pictures = write_pictures(scenes, folder, width=recipe.width, ground_truth=ground_truth, workers=workers)
    with _Tables(folder, recipe) as tables, closing(pictures):
        for done, (scene, picture) in enumerate(pictures, start=1):
            tables.add(scene, picture)
            if progress:
                progress(done, recipe.count)
        summary = tables.finish(ground_truth=ground_truth)
    _sweep(folder, keep=tables.scene_ids)
    # The recipe vouches for the pictures: a machine that stops now must not keep it and lose one of them.
    for path in (*folder.glob("images/*"), *folder.glob("truth/*"), *folder.glob("*/"), folder):
        to_disk(path)
    write_whole(folder / RECIPE_FILE, recipe_text(summary).encode())
    (folder / PARTIAL_FILE).unlink(missing_ok=True)
    return summary


class _Tables:
    """The open tables: rows go to files aside, which take their names together at the end."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder = folder
        self._recipe = recipe
        self._samplers = {split: QuestionSampler(recipe.seed) for split in SPLITS}
        self._panoramas: Counter[str] = Counter()
        self._samples: Counter[str] = Counter()
        self._pictures = hashlib.sha256()
        self.scene_ids: set[str] = set()
        self._suffix = f"{secrets.token_hex(4)}.tmp"
        self._files: dict[str, IO[bytes]] = {}
        self._hashes = {name: hashlib.sha256() for name in TABLES}

    def __enter__(self) -> "_Tables":
        for name in TABLES:
            self._files[name] = self._aside(name).open("wb")
        for split in SPLITS:
            self._put(f"{split}.csv", _csv_lines([CSV_COLUMNS]))
        return self

    def __exit__(self, *_: object) -> None:
        for name, file in self._files.items():
            file.close()
            self._aside(name).unlink(missing_ok=True)

    def add(self, scene: Scene, picture: Picture) -> None:
        """Draw the questions and captions of the next scene, and write all its rows."""
        split, scene_id = scene.split, scene.scene_id
        drawn = self._samplers[split].draw(scene, count=self._recipe.questions_per_panorama)
        drawn += draw_captions(scene, seed=self._recipe.seed)
        rows = [_row(number, question, scene_id, picture.path) for number, question in enumerate(drawn)]
        self._put(f"{split}.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
        self._put(f"{split}.csv", _csv_lines((row["image"], row["query"], row["answer"]) for row in rows))
        self._put("scenes.jsonl", f"{json.dumps(picture.record)}\n")
        self._pictures.update(f"{picture.path} {picture.sha256}\n".encode())
        self._panoramas[split] += 1
        self._samples[split] += len(rows)
        self.scene_ids.add(scene_id)

    def finish(self, *, ground_truth: bool) -> SynthesisSummary:
        """Give every table its name."""
        for name, file in self._files.items():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._aside(name).replace(self._folder / name)
        whole = self._pictures.copy()
        for name in TABLES:
            whole.update(f"{name} {self._hashes[name].hexdigest()}\n".encode())
        return SynthesisSummary(
            folder=self._folder,
            recipe=self._recipe,
            panoramas={split: self._panoramas[split] for split in SPLITS},
            samples={split: self._samples[split] for split in SPLITS},
            sha256=whole.hexdigest(),
            package=__version__,
            ground_truth=ground_truth,
        )

    def _aside(self, name: str) -> Path:
        return self._folder / f".{name}.{self._suffix}"

    def _put(self, name: str, text: str) -> None:
        content = text.encode()
        self._hashes[name].update(content)
        self._files[name].write(content)


def _row(number: int, question: Question, scene_id: str, image: str) -> dict[str, str]:
    return {
        "id": f"{scene_id}-{number:02d}",
        "image": image,
        "query": question.question,
        "answer": question.answer,
        "type": question.kind,
        "template": question.template,
    }


def _csv_lines(rows: Iterable[tuple[str, str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _check(recipe: Recipe, workers: int | None) -> None:
    for name, value, least in (
        ("count", recipe.count, 1),
        ("seed", recipe.seed, 0),
        ("width", recipe.width, MIN_WIDTH),
        ("questions_per_panorama", recipe.questions_per_panorama, 1),
    ):
        if value < least:
            raise DataError(f"{name} is {value}; it must be at least {least}.")
    if recipe.width % 2:
        raise DataError(f"width is {recipe.width}; it must be even, because the height is half of it.")
    if workers is not None and workers < 1:
        raise DataError(f"workers is {workers}; it must be at least 1, or None for one per CPU.")


def _existing(folder: Path, recipe: Recipe) -> SynthesisSummary | None:
    """Return the complete data set of this recipe if the folder holds it; refuse other data."""
    found = load_recipe(folder)
    if found:
        difference = found.recipe.difference(recipe)
        if difference:
            raise DataError(f"{folder}: holds another SurroundQA ({difference}). Delete it, or choose another folder.")
        return found
    if not (folder / PARTIAL_FILE).is_file() and folder.is_dir():
        foreign = sorted(name for name in (*TABLES, "images", "truth") if (folder / name).exists())
        if foreign:
            raise DataError(
                f"{folder}: holds {', '.join(foreign)}, not written by SurroundQA, and they would be "
                "overwritten. Choose another folder."
            )
    return None


def _is_whole(found: SynthesisSummary) -> bool:
    """Whether no table and no picture has been removed since."""
    pictures = sum(1 for _ in (found.folder / "images").glob("*.jpg"))
    return pictures == found.recipe.count and all((found.folder / name).is_file() for name in TABLES)


def _sweep(folder: Path, *, keep: set[str]) -> None:
    """Remove what an interrupted run left: half-written files, and pictures of another recipe."""
    for path in (*folder.iterdir(), *folder.glob("images/*"), *folder.glob("truth/*")):
        stale = _PICTURE.fullmatch(path.name) and path.stem not in keep
        if stale or _ASIDE.fullmatch(path.name):
            path.unlink()


def _processes(workers: int | None, count: int) -> int:
    if count <= _FEW:
        return 1
    if workers is not None:
        return workers
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
