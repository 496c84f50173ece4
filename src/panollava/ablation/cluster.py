"""Runs of a study as tasks of Ray, on one machine or a cluster whose nodes share the study's disk."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from panollava.ablation.local import thread_limits
from panollava.ablation.study import devices_named
from panollava.ablation.task import Task, launch
from panollava.errors import ConfigError

logger = logging.getLogger(__name__)

_STORE_BYTES = 80 << 20
"""Of Ray's store of objects, where Ray is started here: a task returns one word, whatever its run weighs."""


def run_ray(files: Sequence[Path], *, jobs: int | None, ended: Callable[[Path, bool], None]) -> None:
    """Run tasks on the cluster that ``RAY_ADDRESS`` names, or on a local one that is started for it.

    Args:
        files: The tasks.
        jobs: Runs at a time on a cluster that is started here, which share its cores and GPUs; None: one a core.
        ended: Called with every task that ended, and whether its run is complete.

    Raises:
        ConfigError: If Ray is not installed, or no node has what a run asks for.
    """
    ray = _ray()
    local = "RAY_ADDRESS" not in os.environ
    jobs = jobs or len(os.sched_getaffinity(0))
    if local:
        ray.init(
            num_cpus=jobs, object_store_memory=_STORE_BYTES, include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
    else:
        ray.init(log_to_driver=False)
    try:
        asked = resources(files[0], jobs=jobs if local else None, cluster=ray.cluster_resources())
        work = ray.remote(max_retries=2, **asked)(_launch)
        # Ray gives a task as many threads as it reserves cores: here one, however many there are.
        threads = thread_limits(jobs=jobs, devices=devices_named(Task.read(files[0]).run.config)) if local else {}
        waiting = {work.remote(str(file.resolve()), str(Path.cwd()), threads): file for file in files}
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            ended(waiting.pop(done), _outcome(ray, done))
    finally:
        ray.shutdown()


def resources(file: Path, *, jobs: int | None, cluster: Mapping[str, float]) -> dict[str, float]:
    """Return what Ray reserves for a run.

    Args:
        file: One of the tasks.
        jobs: Runs at a time on a local cluster; None: a cluster of others, where a run takes the devices it asks for.
        cluster: What the cluster has.

    Raises:
        ConfigError: If a run asks for more GPUs than the cluster has.
    """
    config = Task.read(file).run.config
    trainer, wanted = config.trainer, float(devices_named(config))
    cpus = 1.0 if jobs else wanted
    gpus = cluster.get("GPU", 0.0)
    if trainer.accelerator in ("gpu", "cuda") and not gpus:
        raise ConfigError(f"trainer.accelerator is {trainer.accelerator}, but the Ray cluster has no GPU")
    if trainer.accelerator == "cpu" or not gpus:
        return {"num_cpus": cpus, "num_gpus": 0.0}
    if wanted > gpus:
        raise ConfigError(f"trainer.devices is {trainer.devices}, but the Ray cluster has {gpus:g} GPUs")
    share = gpus / jobs if wanted == 1 and jobs and jobs > gpus else wanted
    return {"num_cpus": cpus, "num_gpus": share}


def _launch(file: str, folder: str, threads: Mapping[str, str]) -> bool:
    """Run a task where Ray put it, in the driver's folder, from which relative paths start."""
    os.chdir(folder)
    return launch(Path(file), environment=dict(threads))


def _outcome(ray: Any, reference: Any) -> bool:
    """Return what a task came to; a node that was lost, and its run with it, is a run that is not complete."""
    try:
        return bool(ray.get(reference))
    except ray.exceptions.RayError as error:
        logger.error("a task was lost: %s", str(error).splitlines()[0])
        return False


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "executor ray needs the package ray, which is not installed; pip install 'panollava[ray]'"
        ) from error
    return ray
