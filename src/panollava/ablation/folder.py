"""The folder of a study, read: which arms, which runs, how each run ended.

::

    <study>/study.json               arms, their settings, their runs
    <study>/arms/<arm>/seed-<n>/     a run like any other
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.errors import DataError
from panollava.evaluation.report_scores import read_json

FORMAT = 1
FILE = "study.json"
DONE, FAILED = "done", "failed"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One arm with one seed, as the study's file tells it.

    Attributes:
        seed: its seed.
        folder: where it ran.
        place: the same, below the study's folder, with forward slashes.
        status: "done", "failed", or what it is still doing.
        error: why it failed.
        seconds: how long it took.
        peak_memory_mb: the most memory it held.
    """

    seed: int
    folder: Path
    place: str
    status: str
    error: str | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """One arm: its settings by dotted key, those that follow from a budget among them, and its runs."""

    name: str
    settings: Mapping[str, Any]
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as it ran."""

    name: str
    folder: Path
    baseline: str
    arms: tuple[ArmRecord, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings in which arms differ, in the order of the file."""
        keys = dict.fromkeys(key for arm in self.arms for key in arm.settings)
        absent = object()
        return tuple(
            key for key in keys if any(arm.settings.get(key, absent) != self.arms[0].settings.get(key, absent)
                                       for arm in self.arms)
        )  # fmt: skip


def read_study_record(folder: str | Path) -> StudyRecord:
    """Read ``study.json``.

    Raises:
        DataError: it is absent, of another format, or lacks a key; the message names both.
    """
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        raise DataError(f"{path}: there is no such file, so {folder} is no study. Run 'panollava ablate' first.")
    content = read_json(path)
    try:
        if content["format"] != FORMAT:
            raise DataError(f"{path}: format {content['format']!r} is unknown; this version reads format {FORMAT}.")
        arms = tuple(_arm(arm, folder) for arm in content["arms"])
        study = StudyRecord(str(content["name"]), folder, str(content["baseline"]), arms)
    except KeyError as error:
        raise DataError(f"{path}: the key {error} is missing. Run the study again, which writes it.") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: a value has the wrong kind ({error}). Run the study again.") from error
    if study.baseline not in {arm.name for arm in arms}:
        raise DataError(f"{path}: the baseline '{study.baseline}' is none of its arms. Run the study again.")
    return study


def _arm(content: Any, folder: Path) -> ArmRecord:
    settings = {**content["overrides"], **content.get("derived", {})}
    return ArmRecord(str(content["name"]), settings, tuple(_run(run, folder) for run in content["runs"]))


def _run(content: Any, folder: Path) -> RunRecord:
    error = content.get("error")
    return RunRecord(
        seed=int(content["seed"]),
        folder=folder / str(content["dir"]),
        place=str(content["dir"]),
        status=str(content["status"]),
        error=None if error is None else str(error),
        seconds=_number(content.get("seconds")),
        peak_memory_mb=_number(content.get("peak_memory_mb")),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
