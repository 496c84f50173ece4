"""Run a study: what is not done yet, by the executor that was asked for, and the outcome at the end."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from panollava.ablation.local import run_local
from panollava.ablation.locks import held, is_held
from panollava.ablation.standing import SHUFFLED, result, status, write_study_file
from panollava.ablation.study import Run, Study, load_study
from panollava.ablation.task import write_tasks
from panollava.errors import ConfigError, TrainingError

logger = logging.getLogger(__name__)

Executor = Literal["local", "slurm", "ray"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a study is run.

    Attributes:
        executor: Where.
        jobs: Runs at a time; None: one here, as many as fit on a cluster.
        submit: Hand the array job to SLURM, or only write it.
        fresh: Remove what was run before.
    """

    executor: Executor = "local"
    jobs: int | None = None
    submit: bool = True
    fresh: bool = False


def run_study(path: str | Path, *, options: Options = Options()) -> int:
    """Run what is not done of a study and write its outcome; return the number of runs that failed.

    A run that is complete with the same configuration is not run again; one that was stopped goes on; one that failed
    is tried again. The others go on whatever happens to one.

    Args:
        path: The study's YAML file.
        options: Where and how.

    Raises:
        ConfigError: If the study is not right, or is to be removed while runs of it are at work.
        TrainingError: If no run of the study is complete.
    """
    study = load_study(path)
    study.folder.mkdir(parents=True, exist_ok=True)
    _name_left_over(study)
    with held(study.folder / ".study.lock", what=f"study {study.settings.experiment_name}"):
        if options.fresh:
            _remove(study)
        left = [run for run in study.runs if status(run) != "done" or _lacks_shuffled(study, run)]
        logger.info("study %s: %d runs, %d to do", study.settings.experiment_name, len(study.runs), len(left))
        if options.executor == "slurm":
            at_work = [run for run in left if status(run) == "running"]
            for run in at_work:
                logger.info("%s is at work, and not submitted again", run.name)
            left = [run for run in left if run not in at_work]
        files = write_tasks(study, runs=left)
        write_study_file(study)
        if options.executor == "slurm":
            from panollava.ablation.slurm import submit

            submit(study, files, submit_job=options.submit, jobs=options.jobs)
            return 0
        if files:
            _execute(study, left, files, options)
    return conclude(study)


def conclude(study: Study) -> int:
    """Write ``study.json`` and the outcome; return the number of runs that are not complete.

    Raises:
        TrainingError: If none is complete.
    """
    from panollava.ablation.report import write_study

    write_study_file(study)
    unfinished = [run for run in study.runs if status(run) != "done"]
    for run in unfinished:
        logger.error("%s: %s", run.name, result(run).get("error") or status(run))
    if len(unfinished) == len(study.runs):
        first = result(unfinished[0]).get("error") or "it was not run"
        raise TrainingError(f"no run of {study.settings.experiment_name} is complete; the first: {first}")
    write_study(study.folder)
    return len(unfinished)


def _execute(study: Study, runs: Sequence[Run], files: Sequence[Path], options: Options) -> None:
    """Run the tasks and tell of each how it ended."""
    by_file, done = dict(zip(files, runs, strict=True)), 0

    def ended(file: Path, complete: bool) -> None:
        nonlocal done
        done += 1
        run = by_file[file]
        seconds = result(run).get("seconds")
        took = "" if seconds is None else f" ({seconds:.0f} s)"
        said = "done" if complete else result(run).get("error") or "stopped"
        logger.info("[%d of %d] %s: %s%s", done, len(files), run.name, said, took)
        write_study_file(study)

    start: Callable[..., None] = run_local
    if options.executor == "ray":
        from panollava.ablation.cluster import run_ray

        start = run_ray
    start(files, jobs=options.jobs, ended=ended)


def _lacks_shuffled(study: Study, run: Run) -> bool:
    return study.settings.shuffled_images and not (run.folder / SHUFFLED).is_file()


def _remove(study: Study) -> None:
    """Remove what was run; a run that is at work, as an element of an array may be, would go on in its folder."""
    busy = [lock for lock in study.folder.glob("arms/*/.*.lock") if is_held(lock)]
    busy += [lock for lock in study.folder.glob("stages/.*.lock") if is_held(lock)]
    if busy:
        raise ConfigError(
            f"{study.folder} has runs at work ({', '.join(sorted(lock.name[1:-5] for lock in busy)[:3])}); stop them "
            "(scancel, Ctrl-C) before --fresh removes what they write"
        )
    for name in ("arms", "stages", "tasks"):
        shutil.rmtree(study.folder / name, ignore_errors=True)


def _name_left_over(study: Study) -> None:
    """Name the folders of arms that the study no longer has; they stay."""
    home = study.folder / "arms"
    gone = sorted(path.name for path in home.iterdir() if path.name not in study.arms) if home.is_dir() else []
    if gone:
        logger.info("left from an earlier form of the study, and not part of it: %s", ", ".join(gone))
