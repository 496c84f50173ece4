"""Runs on this machine, one after the other or a few at a time."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from panollava.ablation.study import devices_named
from panollava.ablation.task import Task, launch

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_local(files: Sequence[Path], *, jobs: int | None, ended: Callable[[Path, bool], None]) -> None:
    """Run tasks, each in a process of its own.

    Args:
        files: The tasks, in order.
        jobs: How many at a time, None: one; they share the cores, and the GPUs in turn.
        ended: Called with every task that ended, and whether its run is complete.

    Raises:
        KeyboardInterrupt: On Ctrl-C, after the runs at work have written their checkpoints.
    """
    places, devices = jobs or 1, max(devices_named(Task.read(file).run.config) for file in files)
    slots: SimpleQueue[dict[str, str]] = SimpleQueue()
    for number in range(places):
        slots.put(slot_environment(number, jobs=places, devices=devices))
    stop = threading.Event()

    def work(file: Path) -> bool:
        if stop.is_set():
            return False
        slot = slots.get()
        try:
            return launch(file, environment=slot, stop=stop)
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(places) as pool:
        futures = {pool.submit(work, file): file for file in files}
        try:
            for future in as_completed(futures):
                ended(futures[future], future.result())
        except BaseException:
            stop.set()
            raise


def slot_environment(number: int, *, jobs: int, devices: int) -> dict[str, str]:
    """Return what limits a run in one of several places: its share of the cores, and as many GPUs as it takes.

    Numbers that are set already stay. Places share GPUs where there are too few.

    Example:
        >>> slot_environment(0, jobs=1, devices=1)
        {}
    """
    if jobs == 1:
        return {}
    limits = thread_limits(jobs=jobs, devices=devices)
    gpus = _gpus()
    mine = dict.fromkeys(gpus[(number * devices + place) % len(gpus)] for place in range(devices) if gpus)
    return limits | ({"CUDA_VISIBLE_DEVICES": ",".join(mine)} if mine else {})


def thread_limits(*, jobs: int, devices: int) -> dict[str, str]:
    """Return what gives each of the processes of several runs its share of the cores; numbers that are set stay."""
    share = str(max(1, len(os.sched_getaffinity(0)) // (jobs * devices)))
    return {name: share for name in THREADS if name not in os.environ}


def _gpus() -> list[str]:
    """Return the names of the GPUs that this process may use."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
