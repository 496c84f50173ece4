"""The shards of a prediction as tasks of a Ray cluster, or of the cores of this machine."""

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from panollava.errors import ConfigError
from panollava.evaluation.shard_files import Meta, merge
from panollava.evaluation.shards import Shard
from panollava.workflow.prediction import PredictionJob

logger = logging.getLogger(__name__)

RETRIES = 3
"""How often a task whose machine died is begun again; it goes on where it was."""


def predict_on_ray(job: PredictionJob, *, workers: int) -> Meta:
    """Answer one shard per worker, and put the outputs together.

    The cluster is that of RAY_ADDRESS, else one on this machine. Each task takes a GPU where the cluster has any;
    checkpoint, panoramas and output are on a file system that all of it sees.

    Args:
        job: What to answer.
        workers: Tasks, at least 1.

    Raises:
        ConfigError: If Ray is not installed, or there is no worker.
        PanollavaError: What a shard raised.
    """
    if workers < 1:
        raise ConfigError(f"--workers {workers}: give at least 1")
    try:
        import ray
    except ImportError as error:
        raise ConfigError("Ray is not installed; install it with: pip install 'panollava[ray]'") from error
    job = _absolute(job)
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_task)
    try:
        waiting = [task.remote(asdict(job), number, workers) for number in range(1, workers + 1)]
        while waiting:
            ready, waiting = ray.wait(waiting)
            logger.info("%s; %d shards left", ray.get(ready[0]), len(waiting))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # what the task raised, as if it had run here
    finally:
        ray.shutdown()
    output = Path(job.output)
    return merge([Shard(number, workers).output(output) for number in range(1, workers + 1)], output=output)


def _absolute(job: PredictionJob) -> PredictionJob:
    """Return the job with absolute paths: a task may run in another folder."""
    return replace(
        job,
        checkpoint=str(Path(job.checkpoint).resolve()),
        source=str(Path(job.source).resolve()),
        output=str(Path(job.output).resolve()),
        image_root=None if job.image_root is None else str(Path(job.image_root).resolve()),
    )


def _task(job: dict[str, Any], number: int, count: int) -> str:
    from panollava.workflow.prediction import predict
    from panollava.workflow.quiet import quiet_libraries

    quiet_libraries()
    meta = predict(PredictionJob(**job), shard=Shard(number, count))
    return f"shard {number}/{count}: {meta.rows} answers"
