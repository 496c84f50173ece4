"""Let Lightning run a stage: its trainer, its callbacks, and what follows from them."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from panollava.config.schema import StageConfig, TrainerConfig
from panollava.errors import TrainingError
from panollava.training.average import WeightAverage
from panollava.training.best import BestKeeper
from panollava.training.execution import execution
from panollava.training.loggers import build_loggers
from panollava.training.module import StageModule
from panollava.training.progress import StageProgress
from panollava.training.speed import Speed


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


def fit(
    module: StageModule,
    settings: TrainerConfig,
    *,
    train: Any,
    val: Any,
    run_dir: Path,
    save: Callable[[str, int], None],
) -> Fit:
    """Run a stage, save its checkpoints, and leave the model with the weights of ``last``.

    Args:
        module: The stage.
        settings: How to run it.
        train: Loader of the training batches: one pass holds all epochs.
        val: Loader of the validation batches, or None.
        run_dir: Folder of the run.
        save: Writes a checkpoint, ``last`` or ``best``, of an optimiser step.

    Raises:
        TrainingError: If the trainer would use several processes, or steps were not finite.
        KeyboardInterrupt: If it was interrupted.
    """
    stage = module.stage
    average = None
    if settings.ema_decay is not None:
        validate = settings.ema_use in ("both", "validation")
        average = WeightAverage(module, decay=settings.ema_decay, validate=validate)
    in_checkpoint = average if settings.ema_use in ("both", "checkpoint") else None

    def save_best(step: int) -> None:
        with in_checkpoint.applied() if in_checkpoint is not None else nullcontext():
            save("best", step)

    keeper = None
    if settings.val_every is not None and val is not None:
        keeper = BestKeeper(module, save=save_best, patience=settings.patience, min_delta=settings.min_delta)
    speed = Speed(module.model, device=_device_name(), precision=settings.precision)
    bar = StageProgress(module, name=f"stage {stage.name}", total=len(train), speed=speed)
    callbacks = [c for c in (speed, bar, keeper, average) if c is not None]
    trainer = _trainer(settings, stage, run_dir=run_dir, batches=len(train), callbacks=callbacks)
    options = {"compile": settings.compile, "gradient_checkpointing": settings.gradient_checkpointing}
    with execution(module.model, **options):
        trainer.fit(module, train, val)
        if trainer.interrupted:
            raise KeyboardInterrupt
        module.finite.finish(steps=int(trainer.global_step))
        if val is not None and module.validated_step != trainer.global_step:
            trainer.validate(module, val, verbose=False)
    module.model.eval()
    if in_checkpoint is not None:
        in_checkpoint.keep()
    save("last", int(trainer.global_step))
    return Fit(int(trainer.global_step), keeper.best_step if keeper is not None else None, speed.rates)


def _trainer(
    settings: TrainerConfig, stage: StageConfig, *, run_dir: Path, batches: int, callbacks: list[Callback]
) -> Trainer:
    """Return a Lightning trainer for one pass over the plan, which holds all epochs of the stage."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    every = None if settings.val_every is None else settings.val_every * stage.accumulation
    trainer = Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=settings.precision,
        max_epochs=1,
        accumulate_grad_batches=stage.accumulation,
        gradient_clip_val=settings.gradient_clip,
        log_every_n_steps=settings.log_every,
        val_check_interval=1.0 if every is None or every > batches else every,
        logger=build_loggers(settings.loggers, folder=run_dir / "logs", run=run_dir.name, stage=stage.name),
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=run_dir,
    )
    if trainer.world_size > 1:
        raise TrainingError(
            f"the trainer would use {trainer.world_size} processes, and this version trains in one: all would see "
            "the same batches. Set trainer.devices: 1 and trainer.num_nodes: 1"
        )
    return trainer


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
