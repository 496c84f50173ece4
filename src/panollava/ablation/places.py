"""Where a question looks: direction, height and seam of the one object that it names.

Generated panoramas keep the truth of their scenes beside the pictures (``scenes.jsonl``). A question names objects by
words such as "the large red cone"; where exactly one object of the scene is named, the question belongs to its place.
For other panoramas a question for a direction belongs to the direction that its reference names, and nothing is known
about height and seam.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from panollava.data.manifest import Sample
from panollava.data.synthetic.vocabulary import COLOURS, MATERIALS, SHAPES, SIZES
from panollava.errors import DataError
from panollava.geometry.sphere import SECTORS8, sector
from panollava.metrics.accuracy import find_sector

SCENES = "scenes.jsonl"
EYE_LEVEL_DEG = 20.0
_ATTRIBUTES: Mapping[str, Iterable[str]] = {"size": SIZES, "material": MATERIALS, "colour": COLOURS, "shape": SHAPES}
_VALUE_OF = {word: name for name, words in _ATTRIBUTES.items() for word in words}
_NAMED = re.compile(rf"\bthe ((?:(?:{'|'.join(_VALUE_OF)}|object) ?)+)")
_DIRECTION_KINDS = ("direction4", "direction8")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question looks; None where it is not known.

    Attributes:
        direction: one of eight sectors.
        height: "above", "at eye level", "below" or "at a pole".
        seam: whether the object has pixels on both sides of the seam.
    """

    direction: str | None = None
    height: str | None = None
    seam: bool | None = None


@dataclass(slots=True)
class Places:
    """Looks places up; the truth of a folder is read once."""

    _scenes: dict[Path, Mapping[str, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)

    def of(self, sample: Sample) -> Place:
        """Return where a question looks.

        Raises:
            DataError: the truth beside the pictures is damaged.
        """
        objects = self._truth(sample.image.parent.parent).get(sample.image.stem)
        named = [] if objects is None else named_objects(sample.query, objects)
        if len(named) == 1:
            return _place(named[0])
        if sample.kind in _DIRECTION_KINDS and sample.answer:
            place = find_sector(sample.answer, sectors=SECTORS8)
            return Place(None if place is None else SECTORS8[place])
        return Place()

    def _truth(self, folder: Path) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        if folder not in self._scenes:
            path = folder / SCENES
            self._scenes[folder] = _read(path) if path.is_file() else {}
        return self._scenes[folder]


def named_objects(query: str, objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the objects that a question names, if each of its names fits one object only; else none.

    Example:
        >>> scene = [{"colour": "red", "shape": "cone"}, {"colour": "red", "shape": "ball"}]
        >>> named_objects("what size is the red ball?", scene)
        [{'colour': 'red', 'shape': 'ball'}]
        >>> named_objects("is the red object near?", scene)
        []
    """
    found = []
    for words in _NAMED.findall(query.lower()):
        wanted = {_VALUE_OF[word]: word for word in words.split() if word in _VALUE_OF}
        fits = [item for item in objects if all(item.get(name) == word for name, word in wanted.items())]
        if len(fits) != 1:
            return []
        if fits[0] not in found:
            found.append(fits[0])
    return found


def _place(item: Mapping[str, Any]) -> Place:
    pitch_deg = float(item["pitch_deg"])
    if item["is_polar"]:
        return Place(None, "at a pole", bool(item["crosses_seam"]))
    height = "at eye level" if abs(pitch_deg) < EYE_LEVEL_DEG else "above" if pitch_deg > 0 else "below"
    return Place(sector(float(item["yaw_deg"]), count=8), height, bool(item["crosses_seam"]))


def _read(path: Path) -> dict[str, Sequence[Mapping[str, Any]]]:
    try:
        scenes = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {str(scene["scene_id"]): scene["objects"] for scene in scenes}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: the truth of the scenes cannot be read ({error}). Generate the data again."
        ) from error
