"""A checkpoint is a directory: one safetensors file per component, ``meta.json``, and a manifest of hashes.

::

    last/
      resampler.safetensors  projector.safetensors  position.safetensors    parts that were built new
      adapter.safetensors                                                   LoRA, once a stage has trained it
      vision.safetensors                                                    only if a stage has trained it
      training.safetensors  training.json                                   what an interrupted stage needs to go on
      meta.json        stage, epoch, step, configuration, component list, hashes of the base models
      manifest.json    size and sha256 of every other file, and of itself

It is written aside, brought to the disk and given its name in one step (``checkpoints.durable``). Frozen base models
are not copied: they are named in the configuration and their hashes are compared on loading.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from panollava.checkpoints.durable import replacing
from panollava.checkpoints.manifest import FORMAT, MANIFEST, META, Contents, write_manifest
from panollava.checkpoints.meta import CheckpointMeta, meta_of, now, package_versions, read_meta, views_name
from panollava.checkpoints.state import TENSORS, VALUES, TrainingState, tensors_of
from panollava.config import build_config
from panollava.errors import CheckpointError
from panollava.models.adapter import plain_name
from panollava.models.build import attach_adapter, build_model, revisions_of
from panollava.models.protocol import PanoramaModel
from panollava.models.vlm import PanoramaVLM

__all__ = [
    "FORMAT", "MANIFEST", "META", "CheckpointMeta", "component_state", "load_checkpoint", "read_meta", "read_weights",
    "save_checkpoint", "state_hash",
]  # fmt: skip

NEW_PARTS = ("resampler", "projector", "position")
"""Components that no base model has: a checkpoint holds them whether or not they were trained."""

BLOCK = 4096
"""Bytes of a block of the disk, which a file may leave half empty."""


def save_checkpoint(
    model: PanoramaVLM,
    folder: Path,
    *,
    config: dict[str, Any],
    stage: str,
    epoch: int,
    step: int,
    trained: set[str],
    val_loss: float | None = None,
    training: TrainingState | None = None,
    finished: bool = True,
    data: str | None = None,
    run: str | None = None,
) -> Path:
    """Write a checkpoint directory, replacing one of the same name; return its path.

    Args:
        model: The model.
        folder: The directory to write.
        config: The configuration as a plain tree.
        stage: Name of the stage.
        epoch: Complete epochs of the stage.
        step: Optimiser steps of the stage.
        trained: Components that any stage so far has trained.
        val_loss: Validation loss, if known.
        training: What the stage needs to go on from here, if it is to be resumed.
        finished: Whether the stage is complete.
        data: Hash of what it was trained on.
        run: Identity of the run.

    Raises:
        CheckpointError: If the disk has not enough space, or does not take it; the one of the same name stays.
    """
    parts = component_state(model)
    held = sorted(name for name in parts if name in trained or name in NEW_PARTS)
    meta = CheckpointMeta(
        format=FORMAT,
        stage=stage,
        epoch=epoch,
        step=step,
        blind=model.blind,
        components=tuple(held),
        base={name: state_hash(parts[name]) for name in sorted(parts) if name not in held},
        config=config,
        val_loss=val_loss,
        finished=finished,
        data=data,
        run=run,
        views=views_name(config, blind=model.blind),
        created=now(),
        versions=package_versions(),
        revisions=revisions_of(model),
    )
    tensors = {f"{name}.safetensors": parts[name] for name in held}
    texts = {META: json.dumps(asdict(meta), indent=1)}
    if training is not None:
        tensors[TENSORS] = training.tensors
        texts[VALUES] = json.dumps(training.values)
    with replacing(folder, needs=_bytes_of(tensors, texts)) as aside:
        for name, state in tensors.items():
            save_file({key: value.contiguous() for key, value in state.items()}, aside / name)
        for name, text in texts.items():
            (aside / name).write_text(text, encoding="utf-8")
        write_manifest(aside)
    return folder


def load_checkpoint(folder: Path) -> tuple[PanoramaVLM, CheckpointMeta]:
    """Verify a checkpoint, build its model, and load its weights strictly.

    Raises:
        CheckpointError: If a file is missing or changed, a weight is missing or unknown, or a base model differs
            from the one it was trained on.
    """
    contents = Contents.open(folder)
    contents.check()  # all, before minutes go into the base models
    meta = meta_of(contents)
    cfg = build_config(meta.config, origin=str(folder / META))
    model = build_model(cfg, blind=meta.blind, foreign=True)
    if "adapter" in meta.components:
        attach_adapter(model, cfg)
    parts = component_state(model)
    for name, expected in meta.base.items():
        if state_hash(parts.get(name, {})) != expected:
            raise CheckpointError(
                f"{folder}: the {name} weights at hand are not those the checkpoint was trained on "
                f"(sha256 {expected[:12]}..., from {meta.revisions.get(name, 'an unknown revision')}); "
                "give the same model or revision"
            )
    for name in meta.components:
        _copy(tensors_of(contents, f"{name}.safetensors"), parts.get(name, {}), folder=folder, component=name)
    return model.eval(), meta


def read_weights(folder: Path, component: str) -> dict[str, Tensor]:
    """Return the weights of one component of a checkpoint, from bytes that were compared with its manifest.

    Raises:
        CheckpointError: If the checkpoint does not hold the component, or its file is damaged.
    """
    contents = Contents.open(folder)
    meta = meta_of(contents)
    if component not in meta.components:
        raise CheckpointError(f"{folder} holds no weights of {component}; it has {', '.join(meta.components)}")
    return tensors_of(contents, f"{component}.safetensors")


def component_state(model: PanoramaModel) -> dict[str, dict[str, Tensor]]:
    """Return the parameters of each component by name, sharing memory with the model; buffers are recomputed."""
    parts: dict[str, dict[str, Tensor]] = {}
    for component, name, parameter in model.component_parameters():
        parts.setdefault(component, {})[name] = parameter.detach()
    return parts


def state_hash(state: dict[str, Tensor]) -> str:
    """Return the sha256 over names, types, shapes and bytes of a component's weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous().cpu()
        digest.update(f"{plain_name(name)} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _copy(state: dict[str, Tensor], own: dict[str, Tensor], *, folder: Path, component: str) -> None:
    """Copy weights into a model's, strictly."""
    if state.keys() != own.keys():
        odd = ", ".join(sorted(state.keys() ^ own.keys())[:5])
        raise CheckpointError(f"{folder}: {component} does not fit the model; differing weights: {odd}")
    with torch.no_grad():
        for key, value in state.items():
            if own[key].shape != value.shape:
                raise CheckpointError(f"{folder}: {key} is {tuple(value.shape)}, not {tuple(own[key].shape)}")
            own[key].copy_(value)


def _bytes_of(tensors: dict[str, dict[str, Tensor]], texts: dict[str, str]) -> int:
    """Return the bytes that a checkpoint takes on the disk, rounded up."""
    weights = sum(t.numel() * t.element_size() + 256 for state in tensors.values() for t in state.values())
    return weights + sum(map(len, texts.values())) + BLOCK * (len(tensors) + len(texts) + 2)
