"""The recipe of a written data set: the few numbers that determine every byte of it, and the proof.

``recipe.json`` is written last, so a folder that has it is complete. While a folder is being filled it holds
``recipe.partial.json`` instead: it tells an interrupted run from a folder that belongs to someone else.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from panollava.errors import DataError

RECIPE_VERSION = 2  # one more whenever the same numbers would make other scenes, pictures or words
RECIPE_FILE = "recipe.json"
PARTIAL_FILE = "recipe.partial.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What determines a SurroundQA folder, and what came out.

    Attributes:
        version: Version of the generator.
        count: Panoramas over all splits.
        seed: Seed of the scenes.
        width: Width of a panorama in pixels.
        questions_per_panorama: Questions drawn for each panorama; captions come on top.
    """

    version: int
    count: int
    seed: int
    width: int
    questions_per_panorama: int

    def difference(self, other: "Recipe") -> str:
        """Return in words how another recipe differs; empty if it makes the same data set.

        Example:
            >>> Recipe(1, 10, 7, 512, 24).difference(Recipe(1, 20, 7, 512, 24))
            'count 10 instead of 20'
        """
        changes = [
            f"{field.name} {getattr(self, field.name)} instead of {getattr(other, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]
        return ", ".join(changes)


@dataclass(frozen=True, slots=True)
class SynthesisSummary:
    """A complete SurroundQA folder.

    Attributes:
        folder: Where it is.
        recipe: What determines it.
        panoramas: Number of panoramas by split.
        samples: Number of questions and captions by split.
        sha256: Hash over every table and picture; the same recipe gives the same hash.
        package: Version of panollava that wrote it.
        ground_truth: Whether masks and depth are there too (they are not part of the hash).
        reused: Whether it was there already and nothing was written.
    """

    folder: Path
    recipe: Recipe
    panoramas: dict[str, int]
    samples: dict[str, int]
    sha256: str
    package: str
    ground_truth: bool
    reused: bool = False


def load_recipe(folder: str | Path) -> SynthesisSummary | None:
    """Return what ``recipe.json`` of a folder says, or None if the folder has none (it is not complete).

    Raises:
        DataError: If the file cannot be understood.
    """
    path = Path(folder) / RECIPE_FILE
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return SynthesisSummary(
            folder=Path(folder),
            recipe=Recipe(**{field.name: int(values[field.name]) for field in fields(Recipe)}),
            panoramas={str(split): int(number) for split, number in values["panoramas"].items()},
            samples={str(split): int(number) for split, number in values["samples"].items()},
            sha256=str(values["sha256"]),
            package=str(values["package"]),
            ground_truth=bool(values["ground_truth"]),
            reused=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not a recipe of SurroundQA ({error!r}). Delete the folder, or choose another one."
        ) from error


def recipe_text(summary: SynthesisSummary) -> str:
    """Return the content of ``recipe.json``."""
    values = asdict(summary.recipe) | {
        "panoramas": summary.panoramas,
        "samples": summary.samples,
        "ground_truth": summary.ground_truth,
        "package": summary.package,
        "sha256": summary.sha256,
    }
    return json.dumps(values, indent=2) + "\n"
