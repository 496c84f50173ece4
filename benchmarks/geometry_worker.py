"""One library in a process of its own: ``python geometry_worker.py ours``, asked by `geometry_pool` through its pipes.

Requests and answers are pickles on stdin and stdout. A failure ends the process; the traceback is on stderr.
"""

import importlib
import os
import pickle
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

REPEAT_SECONDS = 1.0


class Desk:
    """Holds pictures as the library takes them, and runs its operations on them."""

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        self._held: dict[str, Any] = {}

    def hold(self, slot: str, path: str) -> None:
        """Read a picture (.npy) in the library's own form, or the bytes of a file."""
        file = Path(path)
        self._held[slot] = self._library.load(np.load(file)) if file.suffix == ".npy" else file.read_bytes()

    def derive(self, slot: str, operation: str, source: str, task: Any) -> None:
        """Keep the result of an operation as the input of another."""
        self._held[slot] = self._library.OPERATIONS[operation](self._held[source], task)

    def run(self, operation: str, slot: str, task: Any) -> Any:
        """Return the result of an operation as plain values or NumPy arrays, pictures as height x width x 3."""
        return self._library.export(self._library.OPERATIONS[operation](self._held[slot], task))

    def seconds(self, operation: str, slot: str, task: Any, *, cold: bool, repeats: int) -> float:
        """Return the least time of a few calls: cold, each after forgetting all maps; warm, after a call not timed."""
        work, held = self._library.OPERATIONS[operation], self._held[slot]
        if not cold:
            work(held, task)
        times: list[float] = []
        while not times or (len(times) < repeats and sum(times) < REPEAT_SECONDS):
            if cold:
                self._library.forget()
            start = time.perf_counter()
            work(held, task)
            times.append(time.perf_counter() - start)
        return min(times)

    def peak_bytes(self, operation: str, slot: str, task: Any) -> int | None:
        """Return how far one call raises the resident memory above its start; None where the system does not say."""
        reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
        if not reset.exists():
            return None
        before = _kilobytes(status, "VmRSS")
        reset.write_text("5")
        self._library.OPERATIONS[operation](self._held[slot], task)
        return (_kilobytes(status, "VmHWM") - before) * 1024


def _kilobytes(status: Path, key: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1])


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    desk = Desk(importlib.import_module(f"geometry_{sys.argv[1]}"))
    requested = {work.__name__: work for work in (desk.hold, desk.derive, desk.run, desk.seconds, desk.peak_bytes)}
    while requests.peek(1):
        name, arguments, options = pickle.load(requests)
        pickle.dump(requested[name](*arguments, **options), answers)
        answers.flush()


if __name__ == "__main__":
    main()
