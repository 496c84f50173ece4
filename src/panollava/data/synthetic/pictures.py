"""Scenes to picture files, in this process or in several.

Every picture is a pure function of its scene, so the number of processes changes the time and nothing else.
Workers import NumPy, OpenCV and Pillow, never torch, and use one thread each.
"""

import hashlib
import io
import json
import os
import secrets
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panollava.data.synthetic.raycast import render_erp, render_twice
from panollava.data.synthetic.scene import Scene, sample_scene
from panollava.data.synthetic.truth import scene_record
from panollava.errors import DataError

JPEG_QUALITY = 92
SUPERSAMPLE = 2
_AHEAD = 16  # scenes given to a worker before its first answer is read
_DIED = "a process that renders panoramas died: memory or the disk ran out; its own message is above. Use workers=1."
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
    yield from _in_processes(scenes, folder, width, ground_truth, workers)


def _in_processes(
    scenes: Iterable[Scene], folder: Path, width: int, ground_truth: bool, workers: int
) -> Iterator[tuple[Scene, Picture]]:
    """Deal the scenes out to worker programs in turn, and collect the answers in the same turn.

    The workers are programs of their own (``python -m``), not forks or re-imports of this one, so it does not matter
    what the caller's main module is: a script without a guard, a notebook, or standard input.
    """
    command = [sys.executable, "-m", __name__, str(folder), str(width), str(int(ground_truth))]
    env = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
    pipe = subprocess.PIPE
    crew = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env) for _ in range(workers)]
    waiting: deque[tuple[Scene, subprocess.Popen[str]]] = deque()
    try:
        for number, scene in enumerate(scenes):
            worker = crew[number % workers]
            assert worker.stdin is not None
            worker.stdin.write(f"{scene.seed} {scene.index}\n")
            worker.stdin.flush()
            waiting.append((scene, worker))
            if len(waiting) >= workers * _AHEAD:
                yield _collect(*waiting.popleft())
        while waiting:
            yield _collect(*waiting.popleft())
    except BrokenPipeError as error:
        raise DataError(_DIED) from error
    finally:
        for worker in crew:
            worker.kill() if waiting else worker.stdin and worker.stdin.close()
            worker.wait()


def _collect(scene: Scene, worker: "subprocess.Popen[str]") -> tuple[Scene, Picture]:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise DataError(_DIED)
    return scene, Picture(**json.loads(line))


def _serve(folder: Path, width: int, ground_truth: bool) -> None:
    """Be a worker: read ``seed index`` lines, write the picture, answer with its record as a line of JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which stops its workers
    for line in sys.stdin:
        seed, index = (int(word) for word in line.split())
        picture = _write_picture(sample_scene(seed, index), folder, width, ground_truth)
        sys.stdout.write(json.dumps(asdict(picture)) + "\n")
        sys.stdout.flush()


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


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3])))
