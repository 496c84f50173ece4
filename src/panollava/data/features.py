"""What a frozen encoder saw of each panorama, kept on disk; a turn of the ring is a shift of what it saw.

::

    ring of n views, panorama turned by k steps to the right      view i sees what view i - k saw before
    views outside the ring (the global one, poles)                encoded anew for each turn, and kept

Entries are named by the hash of the panorama's bytes, ``<hash>`` for all views of the picture as it is and
``<hash>+k`` for the views outside the ring after k steps, so a picture that changes is another entry.

A panorama is encoded by itself, because beside others a matrix product may differ in its last bits: its features do
not depend on what was kept before, where a run was interrupted, or how many processes shared the work.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch

from panollava.data.feature_key import FeatureKey
from panollava.data.feature_ring import RingShift
from panollava.data.feature_shards import FeatureShards
from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.views import Tensors, drawn_from, load_erp, stacked, views_of
from panollava.errors import DataError
from panollava.geometry import ViewLayout

logger = logging.getLogger(__name__)

SHARD_BYTES = 256 << 20
_BETWEEN_LOOKS = 16
"""Panoramas that are encoded before asking again what other processes have kept."""
Request = tuple[Path, int]
"""A panorama, and by how many steps of the ring it is turned to the right."""


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
        folder: Where features are kept, in a folder below it that is named by ``key``; None keeps them nowhere and
            encodes at every request.
        key: What features depend on; only where they are not kept may it be None.
        images: How files are read.

    Raises:
        DataError: If there is a folder and no key, or the folder holds features of another key.
    """

    def __init__(
        self,
        *,
        encode: Encoder,
        layout: ViewLayout,
        folder: Path | None,
        key: FeatureKey | None = None,
        images: ImageOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._encode, self._layout, self._images = encode, layout, images
        self._dtype: torch.dtype = torch.float32 if key is None else getattr(torch, key.dtype)
        self._ring = RingShift(layout)
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._shards = None
        if folder is not None:
            if key is None:
                raise DataError(
                    f"features kept in {folder} need a key that says what they depend on; give a FeatureKey"
                )
            self._shards = FeatureShards(folder / key.name(), about=key.facts())

    def fill(
        self,
        paths: Sequence[Path],
        *,
        rolls: Iterable[Request] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Encode and keep what is not kept yet; does nothing without a folder.

        The size is reported, and compared with the free space of the disk, before the first byte is written.

        Args:
            paths: Panoramas as they are.
            rolls: Panoramas turned by steps of the ring.
            progress: Called with (panoramas and turns done, in all).

        Raises:
            DataError: If a file is not a usable panorama, or the disk has too little room.
        """
        if self._shards is None:
            return
        wanted = {
            self._name(r): r for path, roll in [*((p, 0) for p in paths), *rolls] for r in self._parts(path, roll)
        }
        self._shards.refresh()
        self._shards.check(wanted)  # here, where the encoder is at hand
        missing = [name for name in wanted if name not in self._shards]
        done, held, reserved = len(wanted) - len(missing), dict[str, Tensors](), False
        for chunk in _chunks(missing, _BETWEEN_LOOKS):
            self._shards.refresh()  # another process may have been here
            new = [name for name in chunk if name not in self._shards]
            for name in new:
                held[name] = self._compute(wanted[name])
                if not reserved:
                    self._reserve([wanted[name] for name in missing], wanted[name], held[name])
                    reserved = True
                if sum(map(_bytes, held.values())) >= SHARD_BYTES:
                    self._shards.write(held)
                    held = {}
            done += len(chunk)
            if progress is not None:
                progress(done, len(wanted))
        if held:
            self._shards.write(held)

    def get(self, paths: Sequence[Path], *, rolls: Sequence[int] | None = None) -> Tensors:
        """Return the features of a batch, one tensor ``b v rows cols d`` per group of views.

        Args:
            paths: The panoramas.
            rolls: By how many steps of the ring each is turned to the right; None for as they are.

        Raises:
            DataError: If a file is not a usable panorama, or a layout without a ring is to be turned.
        """
        requests = list(zip(paths, rolls or [0] * len(paths), strict=True))
        needed = {self._name(part): part for request in requests for part in self._parts(*request)}
        found = self._look_up(needed)
        rows = []
        for path, roll in requests:
            parts = [found[self._name(part)] for part in self._parts(path, roll)]
            rows.append(self._ring.turned(parts, steps=roll))
        return stacked(rows)

    def _look_up(self, needed: dict[str, Request]) -> dict[str, Tensors]:
        """Return entries by name: what is kept, and the rest encoded, and kept."""
        shards = self._shards
        if shards is not None and any(name not in shards for name in needed):
            shards.refresh()
        kept = {name: None if shards is None else shards.read(name) for name in needed}
        made = {name: self._compute(needed[name]) for name, entry in kept.items() if entry is None}
        if shards is not None and made:
            shards.write(made)
        return {name: made[name] if entry is None else entry for name, entry in kept.items()}

    def _parts(self, path: Path, roll: int) -> list[Request]:
        """Return what a turned panorama is put together from: as it is, and its views outside the ring."""
        steps = self._ring.steps(roll)
        return [(path, 0)] if steps == 0 or not self._ring.rest else [(path, 0), (path, steps)]

    def _name(self, request: Request) -> str:
        path, steps = request
        state = path.stat() if path.is_file() else None
        seen = (str(path), state.st_mtime_ns if state else 0, state.st_size if state else 0)
        if seen not in self._hashes:
            self._hashes[seen] = hashlib.sha256(path.read_bytes()).hexdigest()[:24] if state else str(path)
        return f"{self._hashes[seen]}+{steps}" if steps else self._hashes[seen]

    def _compute(self, request: Request) -> Tensors:
        """Encode a panorama as it is, or a turned one's views outside the ring."""
        with torch.inference_mode():
            seen = self._encode(tuple(group.unsqueeze(0) for group in self._views(*request)))
        return tuple(self._cast(group)[0] for group in seen)

    def _views(self, path: Path, steps: int) -> Tensors:
        erp = load_erp(path, self._layout, images=self._images)
        with drawn_from(path):
            if steps == 0:
                return views_of(erp, self._layout, antialias=self._images.antialias)
            return self._ring.rest_views(erp, steps=steps, antialias=self._images.antialias)

    def _cast(self, features: torch.Tensor) -> torch.Tensor:
        """Return features in the kept type, as tensors that may take part in training.

        Raises:
            DataError: If one is too large for it.
        """
        kept = features.to(self._dtype, copy=True)
        if self._dtype != features.dtype and not bool(kept.isfinite().all()) and bool(features.isfinite().all()):
            raise DataError(
                f"a feature of {float(features.abs().max()):.3g} does not fit {self._dtype}, whose largest number is "
                f"{torch.finfo(self._dtype).max:.3g}. Write data.cache_dtype: bfloat16 or float32"
            )
        return kept

    def _reserve(self, missing: Sequence[Request], first: Request, entry: Tensors) -> None:
        """Report how much is going to be written, and refuse it where the disk is too small.

        Raises:
            DataError: If it is.
        """
        assert self._shards is not None
        one = _bytes(entry)
        turned = sum(1 for _, steps in missing if steps)
        rest = one if first[1] else self._ring.rest_bytes(entry)
        need = (len(missing) - turned) * one + turned * rest
        free = shutil.disk_usage(self._shards.folder).free
        kind = str(self._dtype).removeprefix("torch.")
        told = f"{need / 1e6:,.1f} MB of features ({len(missing) - turned:,} panoramas, {turned:,} turns, {kind})"
        logger.info("  keeping %s in %s; free: %s MB", told, self._shards.folder, f"{free / 1e6:,.0f}")
        if need > free:
            raise DataError(
                f"{told} do not fit {self._shards.folder}, where {free / 1e6:,.1f} MB are free. Give paths.data a "
                "larger disk, write data.cache_dtype: bfloat16, or data.cache_features: false"
            )


def _bytes(entry: Tensors) -> int:
    return sum(group.numel() * group.element_size() for group in entry)


def _chunks(names: Sequence[str], size: int) -> Iterator[list[str]]:
    iterator = iter(names)
    while chunk := list(islice(iterator, size)):
        yield chunk
