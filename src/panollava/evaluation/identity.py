"""What answers depend on, as plain data: two runs whose identities are equal give equal answers."""

import hashlib
import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import panollava
from panollava.config.schema import PanollavaConfig
from panollava.data.images import ImageOptions
from panollava.data.manifest import Sample


def answers_identity(
    samples: Sequence[Sample], cfg: PanollavaConfig, *, checkpoint: str, device: torch.device
) -> dict[str, Any]:
    """Return the header of a journal of answers.

    Batch sizes are not part of it: they change no answer. An image is known by its size and time, not by its content,
    so that a large set is not read twice.

    Args:
        samples: What is asked, in order.
        cfg: How images are read and answers decoded.
        checkpoint: A hash of the model.
        device: Where it answers; arithmetic differs in the last bits between kinds.
    """
    decoding, images = cfg.generation, ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
    sampled = decoding.temperature > 0
    return {
        "checkpoint": checkpoint,
        "test": samples_hash(samples),
        "max_new_tokens": decoding.max_new_tokens,
        "num_beams": decoding.num_beams,
        "temperature": decoding.temperature,
        "seed": (cfg.experiment.seed if decoding.seed is None else decoding.seed) if sampled else None,
        "images": repr(images),
        "device": device.type,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "panollava": panollava.__version__,
        "torch": torch.__version__,
    }


def samples_hash(samples: Sequence[Sample]) -> str:
    """Return a hash over the texts of samples and the size and time of their images."""
    digest = hashlib.sha256()
    for image in dict.fromkeys(sample.image for sample in samples):
        digest.update(json.dumps([str(image), _size_and_time(image)]).encode())
    for s in samples:
        digest.update(json.dumps([str(s.image), s.image_id, s.query, s.answer, s.kind, s.sample_id]).encode())
    return digest.hexdigest()


def questions_hash(samples: Sequence[Sample]) -> str:
    """Return a hash over what is asked about which image ids: the same on every machine, and quick for many."""
    digest = hashlib.sha256()
    for s in samples:
        digest.update(json.dumps([s.image_id, s.query, s.sample_id]).encode())
    return digest.hexdigest()


def pictures_hash(samples: Sequence[Sample]) -> str:
    """Return a hash over the ids and sizes of images: the same on every machine, whatever the folder and the times."""
    digest = hashlib.sha256()
    for image_id, image in dict.fromkeys((s.image_id, s.image) for s in samples):
        state = _size_and_time(image)
        digest.update(json.dumps([image_id, state and state[0]]).encode())
    return digest.hexdigest()


def _size_and_time(image: Path) -> tuple[int, int] | None:
    """Return a file's bytes and nanoseconds; None where there is none, or its name is none that a disk can hold."""
    try:
        state = image.stat()
    except (OSError, ValueError):
        return None
    return (state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def file_hash(file: Path) -> str:
    """Return the sha256 of a file; of a checkpoint's manifest, it stands for everything the checkpoint holds."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
