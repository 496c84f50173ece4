"""Give a stage its batches: which loader reads what, and the store of what a frozen encoder saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from panollava.checkpoints.format import component_state, state_hash
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.data.augment import Augment
from panollava.data.feature_key import FeatureKey
from panollava.data.features import FeatureStore, Request
from panollava.data.images import ImageOptions
from panollava.data.manifest import PanoramaSamples
from panollava.models.protocol import PanoramaModel
from panollava.models.vlm import PanoramaVLM
from panollava.training.loader import LanguageBatches, PixelBatches, StagePlan, loader
from panollava.training.progress import progress_bar
from panollava.training.ranks import barrier, planned, rank


def loaders(
    model: PanoramaVLM,
    stage: StageConfig,
    cfg: PanollavaConfig,
    *,
    plan: StagePlan,
    train: Sequence[PanoramaSamples],
    val: Sequence[PanoramaSamples],
    start: int = 0,
) -> tuple[Any, Any]:
    """Return the training loader, and the validation loader or None. Validation is never shuffled or augmented.

    Args:
        model: The model.
        stage: The row of the stage table.
        cfg: The whole configuration.
        plan: The batches; several processes each read their part of every one.
        train: Training panoramas.
        val: Validation panoramas; may be empty.
        start: First training batch to read.
    """
    size, workers = stage.batch_size, cfg.data.workers
    check = StagePlan(tuple((0, tuple(range(i, min(i + size, len(val))))) for i in range(0, len(val), size)))
    whole = plan
    plan, check = (one.part(rank=rank(), world=planned()) for one in (plan, check))
    images, seed = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias), cfg.experiment.seed
    augment = Augment.from_settings(cfg.data.augment, layout=model.layout, seed=seed)
    if stage.objective == "overlap":
        first = PixelBatches(train, plan, model, images=images, augment=augment)
        second = PixelBatches(val, check, model, images=images)
        return loader(first, workers=workers, start=start), loader(second, workers=0) if val else None
    store = None
    if cfg.data.cache_features and "vision" not in stage.trains and not model.blind:
        store = feature_store(model, cfg)
        assert store is not None
    limit, kept = stage.questions_per_panorama, store if augment is None or augment.shifts else None
    batches = LanguageBatches(train, plan, model, kept, limit=limit, seed=seed, images=images, augment=augment)
    if store is not None:
        rolls = [] if kept is None or augment is None else batches.requests(whole)
        _fill(store, model, [p.image for p in (*(() if augment else train), *val)], rolls=rolls)
    checks = LanguageBatches(val, check, model, store, limit=limit, seed=seed, images=images)
    return loader(batches, workers=workers, start=start), loader(checks, workers=0) if val else None


def feature_store(model: PanoramaModel, cfg: PanollavaConfig) -> FeatureStore | None:
    """Return the store of encoder features, in a folder named by encoder, layout, image options. None when blind."""
    if model.blind:
        return None
    folder = key = None
    images = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
    if cfg.data.cache_features:
        folder = Path(cfg.paths.data) / "features"
        weights, layer = state_hash(component_state(model)["vision"]), cfg.vision.feature_layer
        key = FeatureKey(
            weights,
            model.layout,
            layer=layer,
            reading=model.reading(),
            dtype=cfg.data.cache_dtype,
            images=images,
        )

    def encode(views: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        device = model.device  # asked now: the trainer may have moved the model
        return tuple(f.cpu() for f in model.encode(tuple(v.to(device) for v in views)))

    return FeatureStore(encode=encode, layout=model.layout, folder=folder, key=key, images=images)


def _fill(store: FeatureStore, model: PanoramaVLM, images: Sequence[Path], *, rolls: Sequence[Request] = ()) -> None:
    """Encode what is not in the store yet, on the device that the run will use; of several processes each a share."""
    images, rolls = images[rank() :: planned()], rolls[rank() :: planned()]
    home = model.device
    model.to("cuda" if torch.cuda.is_available() else home)
    with progress_bar() as bar:
        task = bar.add_task("encoding panoramas", total=len(images) + len(rolls), note="")
        store.fill(images, rolls=rolls, progress=lambda done, every: bar.update(task, completed=done, total=every))
    model.to(home)
    barrier()
