"""Run one stage of the table on a model: freeze, plan, fit, checkpoint."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from panollava.checkpoints.state import load_training
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.data.manifest import PanoramaSamples
from panollava.errors import TrainingError
from panollava.models.build import attach_adapter
from panollava.models.vlm import PanoramaVLM
from panollava.training.auto_batch import choose_batch, longest
from panollava.training.execution import execution, recompute_in_training
from panollava.training.feeds import loaders
from panollava.training.finite import FinitePolicy, describer
from panollava.training.fit import Fit, Save, fit
from panollava.training.folder import StageFolder, data_hash
from panollava.training.freeze import Trainable, set_trainable
from panollava.training.interrupt import StopSignals, stopped
from panollava.training.loader import StagePlan, packed_lengths
from panollava.training.module import StageModule
from panollava.training.objectives import seeded_objective
from panollava.training.ranks import largest, planned
from panollava.training.resume import KEPT_LOSSES
from panollava.training.shard import whole_weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage did; the run's ``stages.json`` is a list of these."""

    name: str
    objective: str
    trains: tuple[str, ...]
    trainable: dict[str, int]
    frozen: dict[str, int]
    steps: int
    epochs: int
    seconds: float
    final_loss: float
    val_loss: float | None
    checkpoint: str
    batch_size: int
    skipped_steps: int
    best_step: int | None
    speed: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain tree."""
        return asdict(self)

    @classmethod
    def read(cls, tree: dict[str, Any]) -> "StageOutcome":
        """Return the outcome that ``as_dict`` gave as a plain tree."""
        return cls(**{**tree, "trains": tuple(tree["trains"])})


def run_stage(
    model: PanoramaVLM,
    stage: StageConfig,
    cfg: PanollavaConfig,
    *,
    train: Sequence[PanoramaSamples],
    val: Sequence[PanoramaSamples],
    run_dir: Path,
    trained: set[str],
    resume: Path | None = None,
    run: str = "",
) -> StageOutcome:
    """Train one stage and write its checkpoint to ``run_dir/<stage>/last``, and ``best`` if it validates on the way.

    Args:
        model: The model; changed in place.
        stage: The row of the stage table.
        cfg: The whole configuration.
        train: Training panoramas with their questions.
        val: Validation panoramas; may be empty.
        run_dir: Folder of the run.
        trained: Components trained by earlier stages; this stage's are added.
        resume: Checkpoint inside the stage to go on from, whose weights the model has; None: from the beginning.
        run: Identity of the run, written into its checkpoints.

    Raises:
        TrainingError: If there is nothing to train on, or the loss is not finite.
        CheckpointError: If ``resume`` was trained on other data, or a checkpoint cannot be written.
        Interrupted: If a signal stopped the stage; its checkpoint is written.
    """
    if not train:
        raise TrainingError(f"stage '{stage.name}' has no training samples; look at data.train and its kinds")
    if "adapter" in stage.trains and not any(c == "adapter" for c, _, _ in model.component_parameters()):
        attach_adapter(model, cfg)
    counts = set_trainable(model, stage.trains, vision_blocks=cfg.vision.trainable_blocks)
    _announce(stage, counts)
    if stage.objective == "language":
        logger.info("  attention  %s", _attention(model, cfg))
    state = None if resume is None else load_training(resume)
    if state is not None:
        stage = stage.model_copy(update={key: state.values[key] for key in ("batch_size", "accumulation")})
    elif cfg.trainer.auto_batch:
        stage = _auto_batched(model, stage, cfg, train)
    keep = StageFolder(
        run_dir / stage.name,
        model=model,
        stage=stage,
        config=cfg,
        trained=frozenset(trained | set(stage.trains)),
        data=data_hash([*train, *val]),
        run=run,
        before_s=0.0 if state is None else float(state.values["seconds"]),
    )
    keep.open(resume)
    plan = _plan(model, stage, train, seed=cfg.experiment.seed)
    start = 0 if state is None else int(state.values["steps"]) * stage.accumulation
    first, second = loaders(model, stage, cfg, plan=plan, train=train, val=val, start=start)
    idle_val = frozenset() if second is None else second.dataset.plan.idle
    module = _module(model, stage, cfg, plan=first.dataset.plan, train=train, idle_val=idle_val)

    def save(what: Save) -> str:
        return keep.save(what, epoch=_epochs(plan, stage, steps=what.step), val_loss=module.last_val_loss)

    with StopSignals() as signals:
        done = fit(
            module, cfg.trainer, train=first, val=second, run_dir=run_dir, save=save, signals=signals, resume=state
        )
        outcome = _outcome(stage, counts, module, done, epochs=_epochs(plan, stage, steps=done.steps), keep=keep)
        last = Save("last", done.steps, None)
        with whole_weights(model):
            keep.save(last, epoch=outcome.epochs, val_loss=outcome.val_loss, outcome=outcome.as_dict())
        [stop] = largest([signals.received])
    if stop:
        raise stopped(stop, stage=stage.name, step=done.steps, checkpoint=outcome.checkpoint)
    trained.update(stage.trains)
    return outcome


def _outcome(
    stage: StageConfig, counts: Trainable, module: StageModule, done: Fit, *, epochs: int, keep: StageFolder
) -> StageOutcome:
    return StageOutcome(
        name=stage.name,
        objective=stage.objective,
        trains=tuple(stage.trains),
        trainable=counts.trainable,
        frozen=counts.frozen,
        steps=done.steps,
        epochs=epochs,
        seconds=keep.seconds(),
        final_loss=float(np.mean(module.train_losses[-KEPT_LOSSES:])),
        val_loss=module.last_val_loss,
        checkpoint=str(keep.folder / "last"),
        batch_size=stage.batch_size,
        skipped_steps=module.finite.skipped,
        best_step=done.best_step,
        speed=done.rates,
    )


def _attention(model: PanoramaVLM, cfg: PanollavaConfig) -> str:
    """Return the attention kernel that a stage will use, for people."""
    wanted = cfg.trainer.accelerator
    gpu = wanted in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    device = "cuda" if gpu else "mps" if wanted == "mps" else "cpu"
    kinds = {"bf16": torch.bfloat16, "16": torch.float16}
    dtype = kinds.get(cfg.trainer.precision.split("-")[0], model.language.dtype)
    return f"{model.language.kernel(torch.device(device), dtype=dtype)} ({device}, {str(dtype).removeprefix('torch.')})"


def _announce(stage: StageConfig, counts: Trainable) -> None:
    trains = ", ".join(f"{name} {count:,}" for name, count in counts.trainable.items())
    frozen = ", ".join(f"{name} {count:,}" for name, count in counts.frozen.items())
    logger.info("stage %s (%s)", stage.name, stage.objective)
    logger.info("  trains  %s", trains)
    logger.info("  frozen  %s", frozen or "nothing")


def _plan(model: PanoramaVLM, stage: StageConfig, train: Sequence[PanoramaSamples], *, seed: int) -> StagePlan:
    return StagePlan.make(
        len(train),
        batch_size=stage.batch_size,
        seed=seed,
        steps=stage.max_steps,
        epochs=stage.epochs,
        accumulation=stage.accumulation,
        budget=stage.tokens_per_batch,
        lengths=packed_lengths(train, model, limit=stage.questions_per_panorama, seed=seed),
    )


def _epochs(plan: StagePlan, stage: StageConfig, *, steps: int) -> int:
    """Return how many epochs were begun after so many optimiser steps."""
    return plan.batches[max(1, min(steps * stage.accumulation, len(plan.batches))) - 1][0] + 1


def _module(
    model: PanoramaVLM,
    stage: StageConfig,
    cfg: PanollavaConfig,
    *,
    plan: StagePlan,
    train: Sequence[PanoramaSamples],
    idle_val: frozenset[int] = frozenset(),
) -> StageModule:
    limit, seed = stage.questions_per_panorama, cfg.experiment.seed
    finite = FinitePolicy(
        stage=stage.name,
        rates={str(name): rate for name, rate in stage.lr.items()},
        limit=cfg.trainer.max_skipped,
        describe=describer(train, plan.batches, limit=limit, seed=seed),
    )
    total = -(-len(plan.batches) // stage.accumulation)
    return StageModule(
        model,
        stage,
        total_steps=total,
        overlap=_objective(model, stage, cfg),
        finite=finite,
        seed=seed,
        clip=cfg.trainer.gradient_clip,
        idle=plan.idle,
        idle_val=idle_val,
    )


def _auto_batched(
    model: PanoramaVLM, stage: StageConfig, cfg: PanollavaConfig, train: Sequence[PanoramaSamples]
) -> StageConfig:
    """Return the stage with the largest batches that fit, and as many panoramas a step as before.

    Raises:
        TrainingError: If several processes train: what fits one is not what the batch of all is.
    """
    if planned() > 1:
        raise TrainingError(
            f"trainer.auto_batch measures one process, and {planned()} train; write auto_batch: false, and batch_size "
            "and accumulation for all of them together"
        )

    def batch_of(size: int) -> Any:
        plan = StagePlan(((0, longest(train, count=size)),))
        return loaders(model, stage, cfg, plan=plan, train=train, val=())[0].dataset[0]

    module = _module(model, stage, cfg, plan=StagePlan(()), train=train)
    with execution(model, compile=False, gradient_checkpointing=cfg.trainer.gradient_checkpointing):
        recompute_in_training(model)
        size = choose_batch(module, cfg.trainer, batch_of=batch_of)
    panoramas = stage.batch_size * stage.accumulation
    return stage.model_copy(update={"batch_size": size, "accumulation": panoramas // size})


def _objective(model: PanoramaVLM, stage: StageConfig, cfg: PanollavaConfig) -> Any:
    if stage.objective != "overlap":
        return None
    if model.blind:
        raise TrainingError("a blind model has no views to compare; leave the overlap stage out")
    return seeded_objective(
        model, stage.overlap, through_resampler="resampler" in stage.trains, seed=cfg.experiment.seed
    )
