"""A run of a study as a process of its own: what it is told, and what becomes of it.

::

    launch(file)                       on this machine, in a job of an array, in a worker of a cluster
      '-- panollava ablate --task FILE --inside      the process that trains; out of memory, it dies alone
            arm.log    what it said
            arm.json   how it ended: written by itself when it is complete, by launch() where it failed

The process stops with a checkpoint when its launcher is gone: it watches the pipe between them.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.ablation.chain import Link
from panollava.ablation.standing import LOG, last_words, note_failed, result
from panollava.ablation.study import Run, Study
from panollava.checkpoints.durable import write_aside
from panollava.config import build_config, to_dict
from panollava.errors import ConfigError
from panollava.training.interrupt import requeue

logger = logging.getLogger(__name__)

STOPPED = (130, 143, 75)
"""Exit statuses of a run that a signal stopped; it can go on."""
_PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)
_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """What the process of a run is told.

    Attributes:
        run: The run.
        stages: Folder of the study's shared stages.
        shuffled: Score it again with another panorama's image for every question.
        minutes: Minutes after which it is stopped; None: never.
    """

    run: Run
    stages: Path
    shuffled: bool
    minutes: float | None

    @classmethod
    def read(cls, file: Path) -> "Task":
        """Read a task that :func:`write_tasks` wrote.

        Raises:
            ConfigError: If the file is not one.
        """
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
            run = Run(
                arm=tree["arm"],
                seed=tree["seed"],
                folder=Path(tree["folder"]),
                config=build_config(tree["config"], origin=str(file)),
                shared=_links(tree["shared"]),
                shared_blind=_links(tree["shared_blind"]),
            )
            return cls(run, Path(tree["stages"]), tree["shuffled"], tree["minutes"])
        except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise ConfigError(f"{file} is no task of a study ({error}); 'panollava ablate' writes them.") from error


def write_tasks(study: Study, *, runs: list[Run]) -> list[Path]:
    """Write a task for each run; return the files."""
    return [_write(study, run) for run in runs]


def launch(file: Path, *, environment: dict[str, str] | None = None, stop: threading.Event | None = None) -> bool:
    """Run a task in a process of its own; return whether the run is complete.

    Args:
        file: The task.
        environment: Variables of the process beside those of this one.
        stop: Set by another thread to stop the run with a checkpoint.
    """
    task = Task.read(file)
    started = time.monotonic()
    task.run.folder.mkdir(parents=True, exist_ok=True)
    log = task.run.folder / LOG
    said_before = log.stat().st_size if log.is_file() else 0
    command = [sys.executable, "-m", "panollava", "ablate", "--task", str(file), "--inside"]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the launcher, who passes it on once
        )
        with _passing_on(process) as passed:
            late = _wait(process, minutes=task.minutes, stop=stop)
    code = process.returncode
    ended = result(task.run).get("status")
    if ended == "done":
        return True
    if passed and code == -passed[0]:  # it came before the process listened
        if passed[0] == signal.SIGUSR1:
            requeue()
        return False
    if (code in STOPPED or (stop is not None and stop.is_set())) and not late:
        return False
    error = f"stopped after {task.minutes:g} minutes (budget.minutes)" if late else _why(code, log, since=said_before)
    note_failed(task.run, error=error, seconds=time.monotonic() - started)
    return False


def watch_launcher() -> None:
    """Stop this process with a checkpoint once its launcher is gone."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        logger.warning("the process that started this run is gone")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _wait(process: "subprocess.Popen[bytes]", *, minutes: float | None, stop: threading.Event | None) -> bool:
    """Wait for the end of a process; return whether it had to be stopped because its time was over."""
    end = None if minutes is None else time.monotonic() + 60 * minutes
    while True:
        try:
            process.wait(timeout=0.2)
            return False
        except subprocess.TimeoutExpired:
            late = end is not None and time.monotonic() > end
            if late or (stop is not None and stop.is_set()):
                _stop(process)
                return late


@contextmanager
def _passing_on(process: "subprocess.Popen[bytes]") -> Iterator[list[int]]:
    """Pass on signals that ask this process to stop, so that the run writes a checkpoint first; list them.

    A thread beside the main one cannot listen; whoever started it sets ``stop``.
    """
    passed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield passed
        return

    def send(number: int, _: object) -> None:
        passed.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, send) for number in _PASSED_ON}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _why(code: int, log: Path, *, since: int) -> str:
    """Say why a run failed: the last line of its log after so many bytes, or the signal that ended it."""
    said = last_words(log, since=since)
    if code >= 0:
        return said or f"exit status {code}"
    name = signal.Signals(-code).name
    hint = ", which is what the system does where memory runs out" if -code == signal.SIGKILL else ""
    return f"killed by {name}{hint}; its last words: {said}"


def _write(study: Study, run: Run) -> Path:
    tree = {
        "format": 1,
        "arm": run.arm,
        "seed": run.seed,
        "folder": str(run.folder),
        "stages": str(study.folder / "stages"),
        "shared": [_tree(link) for link in run.shared],
        "shared_blind": [_tree(link) for link in run.shared_blind],
        "shuffled": study.settings.shuffled_images,
        "minutes": study.settings.budget.minutes,
        "config": to_dict(run.config),
    }
    file = study.folder / "tasks" / f"{run.arm}--seed-{run.seed}.json"
    write_aside(file, json.dumps(tree, indent=1))
    return file


def _tree(link: Link) -> dict[str, Any]:
    return {"stage": link.stage, "key": link.key, "upto": list(link.upto)}


def _links(trees: list[dict[str, Any]]) -> tuple[Link, ...]:
    return tuple(Link(tree["stage"], tree["key"], tuple(tree["upto"])) for tree in trees)
