"""A study as an array job of SLURM: one element for each run that is not done, and a job that writes the outcome.

::

    <study>/slurm/runs-<hash>.txt   a task a line; element n runs line n + 1. An array that is queued keeps its own list
                  array.sh     sbatch array.sh
                  report.sh    sbatch --dependency=afterany:<array> report.sh

Folders are those of the study, which must lie on a disk that all nodes share. An element that is requeued goes on where
it stopped, since its run does.
"""

import hashlib
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from panollava.ablation.study import Study, devices_named
from panollava.checkpoints.durable import write_aside
from panollava.config.study import StudySlurm
from panollava.errors import ConfigError, TrainingError

logger = logging.getLogger(__name__)


def submit(study: Study, files: Sequence[Path], *, submit_job: bool = True, jobs: int | None = None) -> Path:
    """Write the array job of the given tasks, and hand it to ``sbatch``; return its script.

    Args:
        study: The study.
        files: The tasks.
        submit_job: Hand it over; False: write it alone.
        jobs: Elements that may run at a time; None: as many as SLURM lets.

    Raises:
        ConfigError: If there is no ``sbatch``.
        TrainingError: If ``sbatch`` refuses the job.
    """
    if not files:
        logger.info("every run of %s is done; nothing to submit", study.settings.experiment_name)
        return study.folder / "slurm" / "array.sh"
    folder = (study.folder / "slurm").resolve()
    text = "".join(f"{file.resolve()}\n" for file in files)
    tasks = folder / f"runs-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    write_aside(tasks, text)
    array, report = folder / "array.sh", folder / "report.sh"
    write_aside(array, array_script(study, tasks=tasks, count=len(files), jobs=jobs))
    write_aside(report, report_script(study, folder=folder))
    logger.info("%s: %d runs", array, len(files))
    if submit_job:
        number = _sbatch([array])
        after = _sbatch([f"--dependency=afterany:{number}", report])
        logger.info("submitted: array job %s, and job %s for the outcome", number, after)
    return array


def array_script(study: Study, *, tasks: Path, count: int, jobs: int | None = None) -> str:
    """Return the script of the array.

    Args:
        study: The study.
        tasks: The list of runs, absolute; logs go where it is.
        count: Number of runs.
        jobs: Elements that may run at a time; None: as many as SLURM lets.
    """
    asked, name = study.settings.slurm, study.settings.experiment_name
    devices = max(devices_named(run.config) for run in study.runs)
    lines = [
        f"--job-name={name}",
        f"--array=0-{count - 1}" + (f"%{jobs}" if jobs else ""),
        shlex.quote(f"--output={tasks.parent}/%A_%a.out"),
        "--requeue",
        "--signal=B:USR1@120",  # two minutes before the limit: a checkpoint, and back into the queue
        *_resources(asked, devices=devices),
    ]
    body = [
        *asked.setup,
        f"cd {shlex.quote(str(Path.cwd()))}",
        f'TASK=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(str(tasks))})',
        f'exec {shlex.quote(sys.executable)} -m panollava ablate --task "$TASK"',
    ]
    return _script(lines, body)


def report_script(study: Study, *, folder: Path) -> str:
    """Return the script of the job that writes the outcome, with its log in a folder."""
    asked, name = study.settings.slurm, study.settings.experiment_name
    partition = [f"--partition={asked.partition}"] if asked.partition else []
    lines = [f"--job-name={name}-report", shlex.quote(f"--output={folder}/report.out"), *partition, *asked.options]
    body = [
        *asked.setup,
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"exec {shlex.quote(sys.executable)} -m panollava ablate --config {shlex.quote(str(study.path))} --report",
    ]
    return _script(lines, body)


def _resources(asked: StudySlurm, *, devices: int) -> list[str]:
    gpus = max(asked.gpus, devices) if asked.gpus else 0
    return [
        *([f"--partition={asked.partition}"] if asked.partition else []),
        *([f"--time={asked.time}"] if asked.time else []),
        *([f"--gres=gpu:{gpus}"] if gpus else []),
        f"--cpus-per-task={asked.cpus}",
        *([f"--mem={asked.memory}"] if asked.memory else []),
        *asked.options,
    ]


def _script(options: Sequence[str], body: Sequence[str]) -> str:
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {option}" for option in options), "", *body, ""])


def _sbatch(words: Sequence[str | Path]) -> str:
    """Submit a job and return its number."""
    command = ["sbatch", "--parsable", *map(str, words)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigError("sbatch is not on this machine; run this on a login node, or add --submit no") from error
    number = re.match(r"\s*(\d+)", done.stdout)
    if done.returncode or number is None:
        said = (done.stderr or done.stdout).strip()
        raise TrainingError(f"sbatch refused the job ({said}); look at the section slurm of the study")
    return number[1]
