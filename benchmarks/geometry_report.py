"""Tables, targets and the machine: how the figures of `geometry.py` are kept, printed and written as JSON."""

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

Times = dict[str, dict[str, list[float]]]
"""Milliseconds of every round, by row and column."""


@dataclass
class Table:
    """Figures by row and column; a missing cell was not measured."""

    title: str
    columns: list[str]
    rows: dict[str, dict[str, Any]]

    def print(self) -> None:
        """Print it, numbers right-aligned."""
        label = max(map(len, self.rows), default=0)
        widths = [max([len(c), *(len(_text(row.get(c))) for row in self.rows.values())]) for c in self.columns]
        print(f"\n  {self.title}")
        print("  " + " " * label + "".join(f"   {c:>{w}}" for c, w in zip(self.columns, widths, strict=True)))
        for name, row in self.rows.items():
            cells = "".join(f"   {_text(row.get(c)):>{w}}" for c, w in zip(self.columns, widths, strict=True))
            print(f"  {name:<{label}}{cells}")


@dataclass
class Target:
    """A figure that was aimed at; None was not measured."""

    what: str
    value: float | None
    by_median: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def verdict(self) -> str:
        """What came of it."""
        if self.value is None:
            return "not measured"
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return "MISSED" if low or high else "met"

    def print(self) -> None:
        """Print it on one line."""
        goal = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        median_too = "" if self.by_median is None else f", {_text(self.by_median)} by the medians"
        print(f"  {self.verdict:<13} {self.what}: {_text(self.value)}{median_too} (target {goal})")


@dataclass
class Section:
    """All that one section found."""

    name: str
    what: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    times_ms: Times = field(default_factory=dict)

    def print(self) -> None:
        """Print its tables, its targets, and what failed."""
        print(f"\n== {self.name}: {self.what}")
        for table in self.tables:
            table.print()
        if self.targets:
            print()
        for target in self.targets:
            target.print()
        for note in self.notes:
            print(f"  note: {note}")
        for label, reason in self.failures.items():
            print(f"  failed: {label}: {reason}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = asdict(self)
        values["targets"] = [asdict(target) | {"verdict": target.verdict} for target in self.targets]
        return values


def time_tables(times: Times, columns: list[str], *, unit: str) -> list[Table]:
    """Return the least and the median milliseconds, and how often each row takes the first row's time."""
    least = {row: {c: min(t) for c, t in cells.items()} for row, cells in times.items()}
    middle = {row: {c: median(t) for c, t in cells.items()} for row, cells in times.items()}
    shown = {
        row: {c: f"{_text(least[row][c])} ({_text(middle[row][c])})" for c in cells if c in columns}
        for row, cells in times.items()
    }
    first = next(iter(times), None)
    factors = {
        row: {c: f"{value / least[first][c]:.2f}" for c, value in cells.items() if c in least.get(first, {})}
        for row, cells in least.items()
    }
    rounds = max((len(t) for cells in times.values() for t in cells.values()), default=0)
    return [
        Table(f"{unit}: the least (the median) of {rounds} rounds", columns, shown),
        Table(f"times the first row, by the least of {rounds} rounds", columns, factors),
    ]


def faster(what: str, times: Times, slow: str | list[str], fast: str, column: str, *, at_least: float) -> Target:
    """Return how many times ``fast`` is faster than the fastest of ``slow``, by the least and by the medians."""
    rivals = [
        times[name][column] for name in ([slow] if isinstance(slow, str) else slow) if column in times.get(name, {})
    ]
    ours = times.get(fast, {}).get(column)
    if not rivals or not ours:
        return Target(f"{what}, {column}", None, at_least=at_least)
    least, middle = min(map(min, rivals)) / min(ours), min(map(median, rivals)) / median(ours)
    return Target(f"{what}, {column}", least, by_median=middle, at_least=at_least)


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the libraries."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    numbers = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("cpu family", "model\t"))][:2]
    return {
        "cpu": models[0] if models else platform.processor(),
        "family_and_model": numbers,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def load_average() -> list[float]:
    """Return the load of the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
        return f"{value:.{digits}f}"
    return str(value)
