"""What a frozen encoder saw of each panorama, kept on disk."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.views import Tensors, stacked_views
from panollava.geometry import ViewLayout

logger = logging.getLogger(__name__)


class Encoder(Protocol):
    """Turns the rendered views of a batch of panoramas into patch features, one tensor per group of views."""

    def __call__(self, views: Tensors) -> Tensors:
        """Return the features."""
        ...


class FeatureStore:
    """Features of panoramas, each encoded once.

    Args:
        encode: The frozen encoder.
        layout: The views.
        folder: Where features are kept, one safetensors file per panorama named by the hash of its bytes; None keeps
            them nowhere and encodes at every request. The folder's name must identify encoder, layout and
            `images.signature()`.
        batch: Panoramas that are encoded together.
        images: How files are read.
    """

    def __init__(
        self,
        *,
        encode: Encoder,
        layout: ViewLayout,
        folder: Path | None,
        batch: int = 4,
        images: ImageOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._encode, self._layout, self._folder, self._batch = encode, layout, folder, batch
        self._images = images
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def fill(self, paths: Sequence[Path], *, progress: Callable[[int, int], None] | None = None) -> None:
        """Encode and keep every panorama that is not kept yet; does nothing without a folder."""
        if self._folder is None:
            return
        for start in range(0, len(paths), self._batch):
            self.get(paths[start : start + self._batch])
            if progress is not None:
                progress(min(start + self._batch, len(paths)), len(paths))

    def get(self, paths: Sequence[Path]) -> Tensors:
        """Return the features of a batch of panoramas, one tensor ``b v rows cols d`` per group of views."""
        if self._folder is None:
            return self._compute(paths)
        found = [self._read(self._file(path)) for path in paths]
        missing = [i for i, item in enumerate(found) if item is None]
        for start in range(0, len(missing), self._batch):
            chunk = missing[start : start + self._batch]
            computed = self._compute([paths[i] for i in chunk])
            for row, index in enumerate(chunk):
                found[index] = tuple(group[row] for group in computed)
                self._write(self._file(paths[index]), found[index] or ())
        return tuple(torch.stack(groups) for groups in zip(*(item or () for item in found), strict=True))

    def _compute(self, paths: Sequence[Path]) -> Tensors:
        with torch.no_grad():
            return self._encode(stacked_views(paths, self._layout, images=self._images))

    def _file(self, path: Path) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:24]}.safetensors"

    def _read(self, file: Path) -> Tensors | None:
        from safetensors.torch import load_file

        if not file.is_file():
            return None
        held = load_file(file)
        return tuple(held[str(number)] for number in range(len(held)))

    def _write(self, file: Path, features: Tensors) -> None:
        from safetensors.torch import save_file

        part = file.with_suffix(".part")
        save_file({str(n): f.contiguous() for n, f in enumerate(features)}, part)
        part.replace(file)
