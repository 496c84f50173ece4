"""The measured libraries, each method in a process of its own, asked in turn round by round."""

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Library(NamedTuple):
    """What a library's module imports, and the name under which it is installed."""

    package: str
    distribution: str


LIBRARIES = {
    "ours": Library("panollava", "panollava"),
    "ours_torch": Library("panollava", "panollava"),
    "py360convert": Library("py360convert", "py360convert"),
    "equilib": Library("equilib", "pyequilib"),
    "pytorch360convert": Library("pytorch360convert", "pytorch360convert"),
}


class Method(NamedTuple):
    """One row of a table: an operation of a library, with its maps kept (warm) or forgotten (cold)."""

    label: str
    library: str
    operation: str
    cold: bool = False

    @property
    def key(self) -> str:
        """What names its failure."""
        return f"{self.label} ({self.operation})"


class Settings(NamedTuple):
    """What is measured, how often, and where the pictures lie meanwhile."""

    libraries: Sequence[str]
    folder: Path
    rounds: int
    quick: bool

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the panoramas."""
        return (256, 512) if self.quick else (2048, 4096, 8192)

    @property
    def size_px(self) -> int:
        """Side of a view."""
        return 32 if self.quick else 336

    def save(self, erp: np.ndarray) -> str:
        """Write a panorama where the workers find it, over the last one of its size and type."""
        path = self.folder / f"{erp.dtype}-{erp.shape[1]}.npy"
        np.save(path, erp)
        return str(path)


class WorkerFailed(Exception):  # noqa: N818 - an event of the measurement, told in the table
    """A worker ended instead of answering; the message is the last line of its traceback."""


class Worker:
    """A process that runs one library, one thread."""

    def __init__(self, library: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("geometry_worker.py")), library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | dict.fromkeys(THREADS, "1"),
        )

    def ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Return the answer to a request, a method of `geometry_worker.Desk`.

        Raises:
            WorkerFailed: The process ended instead.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            pickle.dump((name, arguments, options), self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"ended with {self._process.returncode}"
            raise WorkerFailed(reason) from error

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._process.poll() is None:
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


@dataclass
class Pool:
    """The workers of one section, one per method, started when first asked."""

    libraries: Sequence[str]
    failures: dict[str, str] = field(default_factory=dict)
    _workers: dict[str, Worker] = field(default_factory=dict)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def present(self, methods: Sequence[Method]) -> list[Method]:
        """Return the methods whose library is measured and that have not failed."""
        return [m for m in methods if m.library in self.libraries and m.key not in self.failures]

    def ask(self, method: Method, name: str, *arguments: Any, **options: Any) -> Any:
        """Return a method's answer, or None once it has failed; the reason is kept under its key."""
        if method.key in self.failures:
            return None
        if method.label not in self._workers:
            self._workers[method.label] = Worker(method.library)
        try:
            return self._workers[method.label].ask(name, *arguments, **options)
        except WorkerFailed as failure:
            self.failures[method.key] = str(failure)
            self._workers.pop(method.label).close()
            return None

    def times_ms(
        self, methods: Sequence[Method], *, slot: str, task: Any, rounds: int, repeats: int = 3
    ) -> dict[str, list[float]]:
        """Return the milliseconds of every method in every round; within a round they are asked in turn."""
        found: dict[str, list[float]] = {method.label: [] for method in methods}
        for _ in range(rounds):
            for method in self.present(methods):
                seconds = self.ask(method, "seconds", method.operation, slot, task, cold=method.cold, repeats=repeats)
                if seconds is not None:
                    found[method.label].append(1e3 * seconds)
        return {label: times for label, times in found.items() if len(times) == rounds}


def installed(names: Sequence[str]) -> list[str]:
    """Return the libraries that can be imported."""
    return [name for name in names if importlib.util.find_spec(LIBRARIES[name].package) is not None]


def versions() -> dict[str, str]:
    """Return the versions of everything installed that the figures depend on."""
    beside = ("numpy", "opencv-python-headless", "torch", "pillow", "simplejpeg", "scipy")
    wanted = {*(library.distribution for library in LIBRARIES.values()), *beside}
    found = {distribution.metadata["Name"].lower(): distribution.version for distribution in distributions()}
    return {name: found[name] for name in sorted(wanted) if name in found}
