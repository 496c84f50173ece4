"""Run one stage of the table on a model: freeze, plan, fit, checkpoint."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from panollava.checkpoints.format import component_state, save_checkpoint, state_hash
from panollava.config import to_dict
from panollava.config.schema import PanollavaConfig, StageConfig, TrainerConfig
from panollava.data.augment import Augment
from panollava.data.feature_key import FeatureKey
from panollava.data.features import FeatureStore, Request
from panollava.data.images import ImageOptions
from panollava.data.manifest import PanoramaSamples
from panollava.errors import TrainingError
from panollava.models.build import attach_adapter
from panollava.models.protocol import PanoramaModel
from panollava.models.vlm import PanoramaVLM
from panollava.training.freeze import Trainable, set_trainable
from panollava.training.loader import LanguageBatches, PixelBatches, StagePlan, loader
from panollava.training.module import StageModule
from panollava.training.objectives import seeded_objective
from panollava.training.progress import StageProgress, progress_bar

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

    def as_dict(self) -> dict[str, Any]:
        """Return it as a plain tree."""
        return asdict(self)


def run_stage(
    model: PanoramaVLM,
    stage: StageConfig,
    cfg: PanollavaConfig,
    *,
    train: Sequence[PanoramaSamples],
    val: Sequence[PanoramaSamples],
    run_dir: Path,
    trained: set[str],
) -> StageOutcome:
    """Train one stage and write its checkpoint to ``run_dir/<stage>/last``.

    Args:
        model: The model; changed in place.
        stage: The row of the stage table.
        cfg: The whole configuration.
        train: Training panoramas with their questions.
        val: Validation panoramas; may be empty.
        run_dir: Folder of the run.
        trained: Components trained by earlier stages; this stage's are added.

    Raises:
        TrainingError: If there is nothing to train on, or the loss is not finite.
    """
    if not train:
        raise TrainingError(f"stage '{stage.name}' has no training samples; look at data.train and its kinds")
    if "adapter" in stage.trains and not any(c == "adapter" for c, _, _ in model.component_parameters()):
        attach_adapter(model, cfg)
    counts = set_trainable(model, stage.trains, vision_blocks=cfg.vision.trainable_blocks)
    _announce(stage, counts)
    started = time.monotonic()
    plan = _plan(stage, len(train), seed=cfg.experiment.seed)
    total = -(-len(plan.batches) // stage.accumulation)
    module = StageModule(model, stage, total_steps=total, overlap=_objective(model, stage, cfg))
    trainer = _trainer(cfg.trainer, stage, run_dir=run_dir, batches=len(plan.batches))
    if trainer.world_size > 1:
        raise TrainingError(
            f"the trainer would use {trainer.world_size} processes, and this version trains in one: all would see "
            "the same batches. Set trainer.devices: 1 and trainer.num_nodes: 1"
        )
    torch.manual_seed(cfg.experiment.seed)
    trainer.fit(module, *_loaders(model, stage, cfg, plan=plan, train=train, val=val))
    model.eval()
    if trainer.interrupted:
        raise KeyboardInterrupt
    trained.update(stage.trains)
    epochs = plan.batches[-1][0] + 1
    folder = save_checkpoint(
        model,
        run_dir / stage.name / "last",
        config=to_dict(cfg),
        stage=stage.name,
        epoch=epochs,
        step=int(trainer.global_step),
        trained=trained,
        val_loss=module.last_val_loss,
    )
    return StageOutcome(
        name=stage.name,
        objective=stage.objective,
        trains=tuple(stage.trains),
        trainable=counts.trainable,
        frozen=counts.frozen,
        steps=int(trainer.global_step),
        epochs=epochs,
        seconds=time.monotonic() - started,
        final_loss=float(np.mean(module.train_losses[-20:])),
        val_loss=module.last_val_loss,
        checkpoint=str(folder),
    )


def feature_store(model: PanoramaModel, cfg: PanollavaConfig) -> FeatureStore | None:
    """Return the store of encoder features, in a folder named by encoder, layout, image options. None when blind."""
    if model.blind:
        return None
    folder = key = None
    images = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
    if cfg.data.cache_features:
        folder = Path(cfg.paths.data) / "features"
        weights, layer = state_hash(component_state(model)["vision"]), cfg.vision.feature_layer
        key = FeatureKey(weights, model.layout, layer=layer, dtype=cfg.data.cache_dtype, images=images)

    def encode(views: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        device = model.device  # asked now: the trainer may have moved the model
        return tuple(f.cpu() for f in model.encode(tuple(v.to(device) for v in views)))

    return FeatureStore(encode=encode, layout=model.layout, folder=folder, key=key, images=images)


def _announce(stage: StageConfig, counts: Trainable) -> None:
    trains = ", ".join(f"{name} {count:,}" for name, count in counts.trainable.items())
    frozen = ", ".join(f"{name} {count:,}" for name, count in counts.frozen.items())
    logger.info("stage %s (%s)", stage.name, stage.objective)
    logger.info("  trains  %s", trains)
    logger.info("  frozen  %s", frozen or "nothing")


def _plan(stage: StageConfig, count: int, *, seed: int) -> StagePlan:
    return StagePlan.make(
        count,
        batch_size=stage.batch_size,
        seed=seed,
        steps=stage.max_steps,
        epochs=stage.epochs,
        accumulation=stage.accumulation,
    )


def _objective(model: PanoramaVLM, stage: StageConfig, cfg: PanollavaConfig) -> Any:
    if stage.objective != "overlap":
        return None
    if model.blind:
        raise TrainingError("a blind model has no views to compare; leave the overlap stage out")
    return seeded_objective(
        model, stage.overlap, through_resampler="resampler" in stage.trains, seed=cfg.experiment.seed
    )


def _loaders(
    model: PanoramaVLM,
    stage: StageConfig,
    cfg: PanollavaConfig,
    *,
    plan: StagePlan,
    train: Sequence[PanoramaSamples],
    val: Sequence[PanoramaSamples],
) -> tuple[Any, Any]:
    """Return the training loader, and the validation loader or None. Validation is never shuffled or augmented."""
    size, workers = stage.batch_size, cfg.data.workers
    check = StagePlan(tuple((0, tuple(range(i, min(i + size, len(val))))) for i in range(0, len(val), size)))
    images, seed = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias), cfg.experiment.seed
    augment = Augment.from_settings(cfg.data.augment, layout=model.layout, seed=seed)
    if stage.objective == "overlap":
        first = PixelBatches(train, plan, model, images=images, augment=augment)
        second = PixelBatches(val, check, model, images=images)
        return loader(first, workers=workers), loader(second, workers=0) if val else None
    store = None
    if cfg.data.cache_features and "vision" not in stage.trains and not model.blind:
        store = feature_store(model, cfg)
        assert store is not None
    limit, kept = stage.questions_per_panorama, store if augment is None or augment.shifts else None
    batches = LanguageBatches(train, plan, model, kept, limit=limit, seed=seed, images=images, augment=augment)
    if store is not None:
        rolls = [] if kept is None or augment is None else batches.requests()
        _fill(store, model, [p.image for p in (*(() if augment else train), *val)], rolls=rolls)
    checks = LanguageBatches(val, check, model, store, limit=limit, seed=seed, images=images)
    return loader(batches, workers=workers), loader(checks, workers=0) if val else None


def _fill(store: FeatureStore, model: PanoramaVLM, images: Sequence[Path], *, rolls: Sequence[Request] = ()) -> None:
    """Encode what is not in the store yet, on the device that the run will use."""
    home = model.device
    model.to("cuda" if torch.cuda.is_available() else home)
    with progress_bar() as bar:
        task = bar.add_task("encoding panoramas", total=len(images) + len(rolls), note="")
        store.fill(images, rolls=rolls, progress=lambda done, every: bar.update(task, completed=done, total=every))
    model.to(home)


def _trainer(settings: TrainerConfig, stage: StageConfig, *, run_dir: Path, batches: int) -> Any:
    """Return a Lightning trainer for one pass over the plan, which holds all epochs of the stage."""
    from lightning import Trainer
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    logs = run_dir / "logs"
    return Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=settings.strategy,
        precision=settings.precision,
        max_epochs=1,
        accumulate_grad_batches=stage.accumulation,
        gradient_clip_val=settings.gradient_clip,
        log_every_n_steps=settings.log_every,
        logger=[CSVLogger(logs, name=stage.name, version=""), TensorBoardLogger(logs, name=stage.name, version="")],
        callbacks=[StageProgress(f"stage {stage.name}", total=batches)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=run_dir,
    )
