"""Training curves from the logs of each stage, as Lightning's CSVLogger writes them.

A row holds what was logged at one moment, so most of its cells are empty; a column's curve is its non-empty
cells. ``logs/<stage>/metrics.csv``: step, epoch, train/loss, val/loss, lr...
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import DataError

MAX_POINTS = 2000
_TRAIN, _VAL, _RATE = ("train/loss", "train/loss_step"), ("val/loss", "val/loss_epoch"), "lr"


@dataclass(frozen=True, slots=True)
class Series:
    """Values over optimiser steps, in the order logged."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class StageCurves:
    """What one stage logged. ``rates`` holds a learning rate per column of that name."""

    name: str
    train: Series
    val: Series
    rates: Mapping[str, Series]


def read_curves(logs: Path, *, order: Sequence[str]) -> list[StageCurves]:
    """Read the curves of all stages.

    Args:
        logs: The folder with one folder per stage; it may be absent.
        order: Stage names in the order they ran; others follow in alphabetical order.

    Raises:
        DataError: A log that cannot be read, or a cell that is no number; the message names the row.
    """
    found = {path.parent.name: path for path in sorted(logs.glob("*/metrics.csv"))}
    names = [name for name in order if name in found] + [name for name in found if name not in order]
    return [_stage(name, found[name]) for name in names]


def smoothed(series: Series, *, share: float = 0.05) -> list[float]:
    """Return the running mean over the last `share` of the values, at least three of them.

    Example:
        >>> smoothed(Series((0, 1, 2, 3), (4.0, 2.0, 3.0, 1.0)))
        [4.0, 3.0, 3.0, 2.0]
    """
    window = max(3, round(share * len(series.values)))
    means = []
    for i in range(len(series.values)):
        recent = series.values[max(0, i + 1 - window) : i + 1]
        means.append(sum(recent) / len(recent))
    return means


def _stage(name: str, path: Path) -> StageCurves:
    columns = _columns(path)
    rates = {column: _thinned(series) for column, series in columns.items() if column.startswith(_RATE)}
    return StageCurves(name, _first(columns, _TRAIN), _first(columns, _VAL), rates)


def _columns(path: Path) -> dict[str, Series]:
    """Return every column but step and epoch as a series of its non-empty cells."""
    points: dict[str, list[tuple[float, float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row, record in enumerate(csv.DictReader(file), start=2):
                step = _number(path, row, "step", record.get("step"))
                for column, cell in record.items():
                    if column in (None, "", "step", "epoch") or not cell:
                        continue
                    value = _number(path, row, column, cell)
                    points.setdefault(column, []).append((step, value))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the training log cannot be read ({error}). Remove it or repair it.") from error
    return {
        column: Series(tuple(step for step, _ in pairs), tuple(value for _, value in pairs))
        for column, pairs in points.items()
    }


def _number(path: Path, row: int, column: str, cell: str | None) -> float:
    try:
        return float(cell or "")
    except ValueError:
        raise DataError(
            f"{path}, row {row}, column '{column}': '{cell}' is not a number. Remove the row or the log."
        ) from None


def _first(columns: Mapping[str, Series], names: Sequence[str]) -> Series:
    return _thinned(next((columns[name] for name in names if name in columns), Series()))


def _thinned(series: Series) -> Series:
    """Keep at most MAX_POINTS points, at even steps: more do not show in a chart."""
    stride = math.ceil(len(series.values) / MAX_POINTS) or 1
    return Series(series.steps[::stride], series.values[::stride])
