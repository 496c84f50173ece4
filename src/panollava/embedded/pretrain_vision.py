"""Pretrain the embedded encoder: image-text contrast on SurroundQA views, for whole views and for single patches.

A SigLIP dual encoder reads views of rendered training scenes. Two sigmoid losses (Zhai et al. 2023, eq. 1):

* region: every patch against a list of phrases (``red``, ``cube``, ``large shiny red cube``, ``clear blue sky``); a
  phrase is positive where the exact instance mask says that the patch shows what it names;
* image: every pooled view against the captions of all views of the batch.

Only the vision tower is kept. Views are drawn with the renderer that training and serving use.
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16, UInt8
from torch import Tensor, nn

from panollava.data.synthetic.language import listing, phrase
from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.scene import Scene, SceneObject
from panollava.data.synthetic.vocabulary import distance_word
from panollava.embedded.corpus import PRETRAIN_SEED, training_scenes
from panollava.embedded.optimise import pretrain_optimizers, set_rate, update, warm_cosine
from panollava.geometry import ViewSpec, e2p_ring, erp_pixel_from_ray, render_views, roll_erp

logger = logging.getLogger(__name__)

IMAGE_PX, PATCH_PX, HIDDEN, LAYERS, HEADS = 96, 12, 128, 6, 4
ERP_HEIGHT = 256
POOL_SCENES = 2500
PANORAMAS, VIEWS = 10, 4
_COVERED = 0.3
_BACKGROUND_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class Shot:
    """One rendered view: pixels, the object (or -1) that covers each patch (or -2: mixed), each patch's pitch."""

    pixels: UInt8[np.ndarray, "h w 3"]
    owner: Int16[np.ndarray, " p"]
    pitch_deg: Float[np.ndarray, " p"]
    scene: Scene


def new_dual_encoder(vocabulary: int, *, pad_id: int, eos_id: int) -> Any:
    """Return a randomly initialised SigLIP of the embedded size (vision tower: 1.4 M parameters)."""
    from transformers import SiglipConfig, SiglipModel

    shared = {"hidden_size": HIDDEN, "intermediate_size": 4 * HIDDEN, "num_attention_heads": HEADS}
    config = SiglipConfig(
        vision_config={**shared, "num_hidden_layers": LAYERS, "image_size": IMAGE_PX, "patch_size": PATCH_PX},
        text_config={
            **shared,
            "num_hidden_layers": 1,
            "vocab_size": vocabulary,
            "max_position_embeddings": 64,
            "pad_token_id": pad_id,
            "bos_token_id": None,
            "eos_token_id": eos_id,
            "projection_size": HIDDEN,
        },
    )
    model = SiglipModel(config)
    nn.init.constant_(model.logit_scale, math.log(10.0))  # SigLIP's own start: few pairs are positive
    nn.init.constant_(model.logit_bias, -6.0)
    return model


def pretrain_vision(folder: Path, *, tokenizer: Any, steps: int, lr: float = 2e-3, save_every: int = 250) -> float:
    """Train for ``steps`` batches, save the vision tower to ``folder``; return the running mean of the loss."""
    torch.manual_seed(PRETRAIN_SEED)
    model = new_dual_encoder(len(tokenizer), pad_id=tokenizer.pad_token_id, eos_id=tokenizer.eos_token_id)
    region_head = nn.Linear(HIDDEN, HIDDEN)
    optimizers = pretrain_optimizers(model, lr=lr)
    optimizers.append(torch.optim.AdamW(region_head.parameters(), lr=lr, weight_decay=0.0))
    batches = shots(POOL_SCENES)
    mean, started = math.nan, time.monotonic()
    for step in range(1, steps + 1):
        set_rate(optimizers, lr * warm_cosine(step, steps))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = contrast(model, region_head, tokenizer, next(batches))
        update(loss, model, optimizers)
        mean = loss.item() if math.isnan(mean) else 0.95 * mean + 0.05 * loss.item()
        if step % 20 == 0:
            logger.info("vision step %d/%d loss %.4f (%.0f s)", step, steps, mean, time.monotonic() - started)
        if step % save_every == 0 or step == steps:
            save_tower(model, folder)
    return mean


def save_tower(model: Any, folder: Path) -> None:
    """Write the vision tower alone, as half precision, with the image processor's constants."""
    from transformers import SiglipVisionModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    tower = SiglipVisionModel(model.config.vision_config)
    tower.load_state_dict(model.vision_model.state_dict())
    tower.half().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": IMAGE_PX, "width": IMAGE_PX}).save_pretrained(folder)


def shots(pool: int) -> Iterator[list[list[Shot]]]:
    """Yield batches of views, grouped by size: perspective views, then global ones, at random headings."""
    scenes = training_scenes()
    held = [(scene, render_erp(scene, height=ERP_HEIGHT)) for scene, _ in zip(scenes, range(pool), strict=False)]
    layout = e2p_ring(size_px=IMAGE_PX, global_size_px=(IMAGE_PX, 2 * IMAGE_PX))
    rng = np.random.Generator(np.random.Philox(key=[PRETRAIN_SEED + 5, 0]))
    while True:
        batch: list[list[Shot]] = [[], []]
        for number in rng.choice(len(held), PANORAMAS, replace=False):
            scene, drawn = held[int(number)]
            columns = int(rng.integers(drawn.image.shape[1]))
            image, instance = roll_erp(drawn.image, columns), roll_erp(drawn.instance, columns)
            views = render_views(image, layout)
            ring = rng.choice(layout.ring_indices, VIEWS, replace=False)
            for index in [*ring, len(layout.views) - 1]:
                view = layout.views[int(index)]
                batch[int(view.is_global)].append(_shot(view, views[int(index)], instance, scene))
        yield batch


def _shot(view: ViewSpec, pixels: UInt8[np.ndarray, "h w 3"], instance: Int16[np.ndarray, "H W"], scene: Scene) -> Shot:
    rows, cols = view.height_px // PATCH_PX, view.width_px // PATCH_PX
    pitch = np.degrees(np.arcsin(np.clip(-view.rays(rows, cols)[..., 1], -1, 1))).reshape(-1)
    return Shot(pixels, label_patches(view, instance), pitch, scene)


def label_patches(view: ViewSpec, instance: Int16[np.ndarray, "H W"]) -> Int16[np.ndarray, " p"]:
    """Return the object that covers at least ``_COVERED`` of each patch, by a 4 x 4 sample: -1 none, -2 mixed."""
    rows, cols = view.height_px // PATCH_PX, view.width_px // PATCH_PX
    height, width = instance.shape
    u, v = erp_pixel_from_ray(view.rays(4 * rows, 4 * cols), height=height, width=width)
    seen = instance[np.clip(np.rint(v).astype(int), 0, height - 1), np.rint(u).astype(int) % width]
    samples = seen.reshape(rows, 4, cols, 4).transpose(0, 2, 1, 3).reshape(rows * cols, 16)
    owner = np.full(rows * cols, -1, np.int16)
    most = np.full(rows * cols, 0.0)
    for index in np.unique(samples[samples >= 0]):
        share = (samples == index).mean(axis=1)
        better = share > most
        owner[better], most[better] = index, share[better]
    owner[(most > 0) & (most < _COVERED)] = -2
    return owner


def contrast(model: Any, region_head: nn.Module, tokenizer: Any, groups: list[list[Shot]]) -> Tensor:
    """Return the sum of the region loss and the image loss of one batch."""
    features, pooled, flat = [], [], []
    for group in groups:
        pixels = torch.from_numpy(np.stack([s.pixels for s in group])).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        seen = model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True)
        features += list(seen.last_hidden_state)
        pooled.append(seen.pooler_output)
        flat += group
    phrases, positive, weight = _region_targets(flat)
    captions = [_view_caption(shot) for shot in flat]
    text = _encode_text(model, tokenizer, phrases + captions)
    regions = nn.functional.normalize(region_head(torch.cat(features)), dim=-1)
    logits = regions @ text[: len(phrases)].T
    region = _sigmoid_loss(model, logits, positive)
    same = torch.tensor([[a == b for b in captions] for a in captions])
    images = nn.functional.normalize(torch.cat(pooled), dim=-1)
    image = _sigmoid_loss(model, images @ text[len(phrases) :].T, same)
    return (region.sum(dim=1) * weight).sum() / weight.sum() + 0.3 * image.sum(dim=1).mean()


def _sigmoid_loss(model: Any, similarity: Float[Tensor, "n m"], positive: Bool[Tensor, "n m"]) -> Tensor:
    logits = similarity.float() * model.logit_scale.exp() + model.logit_bias
    return nn.functional.softplus(torch.where(positive, -logits, logits))


def _encode_text(model: Any, tokenizer: Any, lines: list[str]) -> Float[Tensor, "m d"]:
    ids = tokenizer(lines, padding="max_length", max_length=24, truncation=True, return_tensors="pt").input_ids
    pooled = model.text_model(input_ids=ids).pooler_output
    return nn.functional.normalize(pooled, dim=-1)


def _region_targets(shots_: list[Shot]) -> tuple[list[str], Bool[Tensor, "n m"], Float[Tensor, " n"]]:
    """Return the phrases of the batch, which patch shows which, and the weight of each patch."""
    said: dict[str, int] = {}
    rows: list[tuple[int, list[str]]] = []
    weights: list[float] = []
    for shot in shots_:
        for owner, pitch in zip(shot.owner, shot.pitch_deg, strict=True):
            words = object_phrases(shot.scene.objects[owner]) if owner >= 0 else place_phrases(shot.scene, pitch)
            weights.append(1.0 if owner >= 0 else 0.0 if owner == -2 else _BACKGROUND_WEIGHT)
            rows.append((len(rows), words))
            for word in words:
                said.setdefault(word, len(said))
    positive = torch.zeros(len(rows), len(said), dtype=torch.bool)
    for row, words in rows:
        positive[row, [said[w] for w in words]] = True
    return list(said), positive, torch.tensor(weights)


def object_phrases(item: SceneObject) -> list[str]:
    """Return what a patch that shows this object may be called, from single words to the full phrase."""
    return [
        *(item.colour, item.shape, item.material, item.size, distance_word(item.distance_m)),
        phrase(item),
        phrase(item, ("size", "material", "colour", "shape")),
    ]


def place_phrases(scene: Scene, pitch_deg: float) -> list[str]:
    """Return what a patch of the surroundings shows at this pitch; nothing where it may be either of two."""
    place = scene.place
    if pitch_deg < -12:
        return ["floor" if place.kind == "room" else "ground", place.floor]
    if place.kind == "outdoor":
        return ["sky", place.upper] if pitch_deg > 6 else []
    return ["walls", place.upper] if -4 < pitch_deg < 14 else ["ceiling"] if pitch_deg > 45 else []


def _view_caption(shot: Shot) -> str:
    seen = [shot.scene.objects[int(i)] for i in np.unique(shot.owner) if i >= 0][:3]
    return listing(seen) if seen else f"{shot.scene.place.upper} {shot.scene.place.floor}"
