"""Scenes to picture files, in this process or in several.

Every picture is a pure function of its scene, so the number of processes changes the time and nothing else.
Workers import NumPy, OpenCV and Pillow, never torch, and use one thread each.
"""

import hashlib
import io
import multiprocessing
import os
import secrets
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panollava.data.synthetic.raycast import render_erp, render_twice
from panollava.data.synthetic.scene import Scene
from panollava.data.synthetic.truth import scene_record
from panollava.errors import DataError

JPEG_QUALITY = 92
SUPERSAMPLE = 2
_CHUNK = 8  # scenes per message between processes
_AHEAD = 3  # chunks waiting per process
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@dataclass(frozen=True, slots=True)
class Picture:
    """A written panorama: its path below the folder, the hash of its bytes, and the scene's record."""

    path: str
    sha256: str
    record: dict[str, Any]


def write_pictures(
    scenes: Iterable[Scene], folder: Path, *, width: int, ground_truth: bool, workers: int
) -> Generator[tuple[Scene, Picture]]:
    """Render scenes, write ``images/<scene_id>.jpg`` and yield what was written, in the order given.

    Args:
        scenes: Read a little ahead of what is yielded.
        folder: An existing folder.
        width: Width of a picture in pixels; its height is half.
        ground_truth: Whether to write ``truth/<scene_id>.npz`` too: ``instance`` and ``depth_m`` of the ray
            through the centre of every pixel.
        workers: Number of processes; 1 renders in this one.

    Raises:
        DataError: If a worker process died.
        OSError: If a file cannot be written.
    """
    (folder / "images").mkdir(exist_ok=True)
    if ground_truth:
        (folder / "truth").mkdir(exist_ok=True)
    if workers == 1:
        for scene in scenes:
            yield scene, _write_picture(scene, folder, width, ground_truth)
        return
    try:
        with _one_thread_each():
            yield from _in_processes(scenes, folder, width, ground_truth, workers)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that renders panoramas died: memory ran out, or the program that started it has no "
            "`if __name__ == '__main__':`. Use workers=1."
        ) from error


def _in_processes(
    scenes: Iterable[Scene], folder: Path, width: int, ground_truth: bool, workers: int
) -> Iterator[tuple[Scene, Picture]]:
    waiting: deque[tuple[list[Scene], Future[list[Picture]]]] = deque()
    source = iter(scenes)
    chunks = iter(lambda: list(islice(source, _CHUNK)), [])
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_ignore_interrupt)
    try:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_write_chunk, chunk, folder, width, ground_truth)))
            if len(waiting) >= workers * _AHEAD:
                done, future = waiting.popleft()
                yield from zip(done, future.result(), strict=True)
        for done, future in waiting:
            yield from zip(done, future.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _write_chunk(scenes: list[Scene], folder: Path, width: int, ground_truth: bool) -> list[Picture]:
    return [_write_picture(scene, folder, width, ground_truth) for scene in scenes]


def _write_picture(scene: Scene, folder: Path, width: int, ground_truth: bool) -> Picture:
    pixels, fine = render_twice(scene, height=width // 2, supersample=SUPERSAMPLE)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    path = f"images/{scene.scene_id}.jpg"
    replace_file(folder / path, file.getvalue())
    if ground_truth:
        exact = render_erp(scene, height=width // 2)
        archive = io.BytesIO()
        np.savez_compressed(archive, instance=exact.instance, depth_m=exact.depth_m)
        replace_file(folder / f"truth/{scene.scene_id}.npz", archive.getvalue())
    return Picture(path, hashlib.sha256(file.getvalue()).hexdigest(), scene_record(scene, fine))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that a reader or a crash never meets half of it."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start now use one thread: libraries read these variables when they are imported."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
