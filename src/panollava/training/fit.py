"""Let Lightning run a stage: its trainer, its callbacks, and what follows from them."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback, Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy

from panollava.checkpoints.state import TrainingState
from panollava.config.schema import StageConfig, TrainerConfig
from panollava.errors import TrainingError
from panollava.training.average import WeightAverage
from panollava.training.best import BestKeeper
from panollava.training.execution import execution
from panollava.training.interrupt import StopSignals
from panollava.training.keep import StepCheckpoints
from panollava.training.loggers import build_loggers
from panollava.training.module import StageModule
from panollava.training.position import continue_after
from panollava.training.progress import StageProgress
from panollava.training.ranks import planned
from panollava.training.resume import Restore, capture
from panollava.training.shard import whole_weights
from panollava.training.speed import Speed
from panollava.training.trouble import told


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of a stage.

    Attributes:
        steps: Optimiser steps, skipped ones among them.
        best_step: The step of the checkpoint ``best``; None where nothing was validated on the way.
        rates: Speed at the end: rows_per_s, tokens_per_s, padding, mfu where they are known.
    """

    steps: int
    best_step: int | None
    rates: dict[str, float]


class Save(NamedTuple):
    """A checkpoint to be written: ``best``, ``last``, or ``step`` with the state to go on from."""

    name: str
    step: int
    state: TrainingState | None


def fit(
    module: StageModule,
    settings: TrainerConfig,
    *,
    train: Any,
    val: Any,
    run_dir: Path,
    save: Callable[[Save], str],
    signals: StopSignals,
    resume: TrainingState | None = None,
) -> Fit:
    """Run a stage, save checkpoints on the way, and leave the model with the weights that are its result.

    Args:
        module: The stage.
        settings: How to run it.
        train: Loader of the training batches: one pass holds all epochs; it starts where ``resume`` stopped.
        val: Loader of the validation batches, or None.
        run_dir: Folder of the run.
        save: Writes a checkpoint and returns its path.
        signals: Stop the stage between two steps; one that comes when no step is left is for the caller.
        resume: State of the stage where it was stopped, whose weights the model has; None: from its beginning.

    Raises:
        TrainingError: If torchrun started other processes than the trainer needs, or steps were not finite.
        Interrupted: If a signal stopped it; its checkpoint is written.
    """
    first = 0 if resume is None else int(resume.values["steps"])
    average = _average(module, settings)
    lent = average if settings.ema_use in ("both", "checkpoint") else None

    def together(what: Save) -> str:
        with whole_weights(module.model):
            return save(what)

    def save_best(step: int) -> None:
        with lent.applied() if lent is not None else nullcontext():
            together(Save("best", step, None))

    keeper = None
    if settings.val_every is not None and val is not None:
        keeper = BestKeeper(module, save=save_best, patience=settings.patience, min_delta=settings.min_delta)
    speed = Speed(module.model, device=_device_name(), precision=settings.precision)
    trainer = _trainer(settings, module.stage, run_dir=run_dir, batches=len(train), first=first)

    def save_step(step: int) -> str:
        return together(Save("step", step, capture(module, trainer, average=average, keeper=keeper)))

    done = first * module.stage.accumulation
    callbacks: list[Callback | None] = [
        None if resume is None else Restore(resume, module, average=average, keeper=keeper),
        speed,
        StageProgress(module, name=f"stage {module.stage.name}", total=len(train), speed=speed, done=done),
        keeper,
        average,
        StepCheckpoints(
            module,
            signals=signals,
            save=save_step,
            every=settings.save_every,
            minutes=settings.save_minutes,
            first=first,
        ),
    ]
    trainer.callbacks.extend(callback for callback in callbacks if callback is not None)
    continue_after(trainer, steps=first, batches=done)
    _run(trainer, module, settings, train=train, val=val, signals=signals)
    if lent is not None:
        lent.keep()
    return Fit(int(trainer.global_step), keeper.best_step if keeper is not None else None, speed.rates)


def _run(
    trainer: Trainer, module: StageModule, settings: TrainerConfig, *, train: Any, val: Any, signals: StopSignals
) -> None:
    """Train, and validate at the end if that was not the last thing done."""
    options = {"compile": settings.compile, "gradient_checkpointing": settings.gradient_checkpointing}
    with execution(module.model, **options), told(module, settings):
        trainer.fit(module, train, val)
        signals.install()  # Lightning has put back what was there before it
        if trainer.interrupted:
            raise KeyboardInterrupt
        module.finite.finish(steps=int(trainer.global_step))
        if val is not None and module.validated_step != trainer.global_step:
            trainer.validate(module, val, verbose=False)
            signals.install()
    module.model.eval()


def _average(module: StageModule, settings: TrainerConfig) -> WeightAverage | None:
    if settings.ema_decay is None:
        return None
    return WeightAverage(module, decay=settings.ema_decay, validate=settings.ema_use in ("both", "validation"))


def _trainer(settings: TrainerConfig, stage: StageConfig, *, run_dir: Path, batches: int, first: int) -> Trainer:
    """Return a Lightning trainer for one pass over the plan, which holds all epochs of the stage."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    every = None if settings.val_every is None else settings.val_every * stage.accumulation
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    trainer = Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices if planned() == 1 else here,
        num_nodes=settings.num_nodes if planned() == 1 else planned() // here,
        strategy=_strategy(settings),
        precision=settings.precision,
        max_epochs=1,
        accumulate_grad_batches=stage.accumulation,
        log_every_n_steps=settings.log_every,
        val_check_interval=1.0 if every is None or every > batches else every,
        logger=build_loggers(
            settings.loggers, folder=run_dir / "logs", run=run_dir.name, stage=stage.name, first=first
        ),
        # Lightning's own requeueing would write a pickled checkpoint; ours is in StepCheckpoints.
        plugins=[SLURMEnvironment(auto_requeue=False)] if planned() == 1 and SLURMEnvironment.detect() else None,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=run_dir,
    )
    if trainer.world_size != planned():
        raise TrainingError(
            f"trainer.devices and trainer.num_nodes ask for {trainer.world_size} processes, and this is one of "
            f"{planned()}. Start them with torchrun: torchrun --nproc-per-node {trainer.num_devices} -m panollava "
            "train --config FILE (the command line does that itself on one machine; see docs/scaling.md)"
        )
    return trainer


def _strategy(settings: TrainerConfig) -> Any:
    """Return Lightning's strategy: for several processes DDP, or FSDP2 where it is asked for."""
    if settings.strategy == "fsdp":
        if planned() == 1:
            return "auto"
        return ModelParallelStrategy(
            data_parallel_size=planned(), tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    return "ddp" if settings.strategy == "auto" and planned() > 1 else settings.strategy


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
