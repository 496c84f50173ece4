"""A checkpoint is a directory: one safetensors file per component, ``meta.json``, and a manifest of hashes.

::

    last/
      resampler.safetensors  projector.safetensors  position.safetensors    parts that were built new
      adapter.safetensors                                                   LoRA, once a stage has trained it
      vision.safetensors                                                    only if a stage has trained it
      meta.json        stage, epoch, step, configuration, component list, hashes of the base models
      manifest.json    sha256 of every other file

It is written aside and renamed, so a directory of that name is whole; the one it replaces is ``.last.old`` for the
moment between two renames, and is found there if that moment was the last. Frozen base models are not copied: they
are named in the configuration and their hashes are compared on loading.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from panollava.config import build_config
from panollava.checkpoints.state import TrainingState
from panollava.errors import CheckpointError
from panollava.models.adapter import plain_name
from panollava.models.build import attach_adapter, build_model
from panollava.models.protocol import PanoramaModel
from panollava.models.vlm import PanoramaVLM

FORMAT = 1
META, MANIFEST = "meta.json", "manifest.json"


@dataclass(frozen=True, slots=True)
class CheckpointMeta:
    """What a checkpoint says about itself.

    Attributes:
        format: Version of this layout.
        stage: Name of the stage that wrote it.
        epoch, step: How far the stage was: complete epochs, optimiser steps.
        blind: Whether it is the text-only baseline.
        components: The components whose weights it holds.
        base: Hash of the weights of every component that it does not hold.
        config: The whole configuration, as a plain tree.
        val_loss: Validation loss, if there was one.
    """

    format: int
    stage: str
    epoch: int
    step: int
    blind: bool
    components: tuple[str, ...]
    base: dict[str, str]
    config: dict[str, Any]
    val_loss: float | None = None
    finished: bool = True
    data: str | None = None
    run: str | None = None


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
    training: "TrainingState | None" = None,
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
    """
    parts = component_state(model)
    held = sorted(name for name in parts if name in trained or name in ("resampler", "projector", "position"))
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
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for name in held:
        save_file(parts[name], aside / f"{name}.safetensors")
    if training is not None:
        save_file(training.tensors, aside / "training.safetensors")
        (aside / "training.json").write_text(json.dumps(training.values))
    (aside / META).write_text(json.dumps(asdict(meta), indent=1), encoding="utf-8")
    sums = {file.name: _sha256(file) for file in sorted(aside.iterdir())}
    (aside / MANIFEST).write_text(json.dumps(sums, indent=1), encoding="utf-8")
    for file in aside.iterdir():
        _sync(file)
    old = replaced(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def replaced(folder: Path) -> Path:
    """Return where a checkpoint stands while another takes its name."""
    return folder.with_name(f".{folder.name}.old")


def load_checkpoint(folder: Path) -> tuple[PanoramaVLM, CheckpointMeta]:
    """Verify a checkpoint, build its model, and load its weights strictly.

    Raises:
        CheckpointError: If a file is missing or changed, a weight is missing or unknown, or a base model differs
            from the one it was trained on.
    """
    meta = read_meta(folder)
    cfg = build_config(meta.config, origin=str(folder / META))
    model = build_model(cfg, blind=meta.blind)
    if "adapter" in meta.components:
        attach_adapter(model, cfg)
    parts = component_state(model)
    for name, expected in meta.base.items():
        if state_hash(parts[name]) != expected:
            raise CheckpointError(
                f"{folder}: the {name} weights at hand are not those the checkpoint was trained on "
                f"(sha256 {expected[:12]}...); give the same model or revision"
            )
    for name in meta.components:
        state = load_file(folder / f"{name}.safetensors")
        own = parts.get(name, {})
        if state.keys() != own.keys():
            odd = sorted(state.keys() ^ own.keys())[:5]
            raise CheckpointError(f"{folder}: {name} does not fit the model; differing weights: {', '.join(odd)}")
        with torch.no_grad():
            for key, value in state.items():
                if own[key].shape != value.shape:
                    raise CheckpointError(f"{folder}: {key} is {tuple(value.shape)}, not {tuple(own[key].shape)}")
                own[key].copy_(value)
    return model.eval(), meta


def read_meta(folder: Path) -> CheckpointMeta:
    """Verify the hashes of a checkpoint and return what it says about itself.

    Raises:
        CheckpointError: If it is no checkpoint, or is damaged.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise CheckpointError(f"{folder} is no checkpoint: it has no {MANIFEST}")
    try:
        sums = json.loads(manifest.read_text(encoding="utf-8"))
        for name, expected in sums.items():
            file = folder / name
            if not file.is_file() or _sha256(file) != expected:
                state = "is missing" if not file.is_file() else "has changed since it was written"
                raise CheckpointError(f"{folder} is damaged: {name} {state}; use another checkpoint")
        if META not in sums:
            raise CheckpointError(f"{folder} is damaged: {MANIFEST} does not list {META}; use another checkpoint")
        raw = json.loads((folder / META).read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise CheckpointError(f"{folder} has format {raw['format']}; this version reads format {FORMAT}")
        meta = CheckpointMeta(**{**raw, "components": tuple(raw["components"])})
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder} is damaged: {error}; use another checkpoint") from error
    unlisted = [name for name in meta.components if f"{name}.safetensors" not in sums]
    if unlisted:
        raise CheckpointError(
            f"{folder} is damaged: {MANIFEST} does not list {unlisted[0]}.safetensors; use another checkpoint"
        )
    return meta


def component_state(model: PanoramaModel) -> dict[str, dict[str, torch.Tensor]]:
    """Return the parameters of each component by name, sharing memory with the model; buffers are recomputed."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for component, name, parameter in model.component_parameters():
        parts.setdefault(component, {})[name] = parameter.detach()
    return parts


def state_hash(state: dict[str, torch.Tensor]) -> str:
    """Return the sha256 over names, types, shapes and bytes of a component's weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous().cpu()
        digest.update(f"{plain_name(name)} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
