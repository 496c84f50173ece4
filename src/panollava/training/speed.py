"""How fast a stage runs: rows and tokens a second, the share of padding, and what share of the device it uses."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning import Callback, LightningModule, Trainer

from panollava.data.pack import PAD_SEGMENT
from panollava.models.vlm import PanoramaBatch, PanoramaVLM

WINDOW = 50
"""Batches that a rate is measured over."""

PEAK_TFLOPS: Mapping[str, float] = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
}
"""Dense bfloat16 peak of devices, as their makers' data sheets give it; the first name that fits counts."""


@dataclass(frozen=True, slots=True)
class BatchSize:
    """What a batch holds.

    Attributes:
        rows: Questions; panoramas where there are no texts.
        tokens: Tokens that are read; 0 where there are no texts.
        padded: Tokens that are only there to fill the batch.
    """

    rows: int
    tokens: int
    padded: int


def batch_size(batch: Any) -> BatchSize:
    """Return what a batch of a stage holds: packed conversations, or views alone."""
    if not isinstance(batch, PanoramaBatch):
        return BatchSize(len(batch[0]), 0, 0)
    segments = batch.text.segments
    filled = int((segments != PAD_SEGMENT).sum())
    return BatchSize(int(segments.amax(dim=1).clamp(min=0).sum()), filled, segments.numel() - filled)


def peak_flops(device: str, *, precision: str) -> float | None:
    """Return the peak of a device in floating point operations a second; None where it is not known.

    Example:
        >>> peak_flops("NVIDIA H100 80GB HBM3", precision="bf16-mixed")
        989000000000000.0
        >>> peak_flops("NVIDIA H100 80GB HBM3", precision="32-true") is None
        True
    """
    if not precision.startswith(("bf16", "16")):
        return None
    return next((tflops * 1e12 for name, tflops in PEAK_TFLOPS.items() if name in device), None)


def flops_per_token(model: PanoramaVLM) -> float:
    """Return the operations that the language model spends on a token of a training step.

    2 for each weight of the decoder forwards, 2 backwards through it, 2 more for each weight that trains (Kaplan et al.
    2020, without attention). Word embeddings are looked up; the head runs on few rows and is left out, as is what sees.
    """
    words = {id(p) for p in model.language.model.get_input_embeddings().parameters()}
    head = {id(p) for p in model.language.model.get_output_embeddings().parameters()}
    weights = [p for p in model.language.parameters() if id(p) not in words | head]
    return float(sum((6 if p.requires_grad else 4) * p.numel() for p in weights))


class Speed(Callback):
    """Measures and logs ``speed/rows_per_s``, ``speed/tokens_per_s``, ``speed/padding`` and ``speed/mfu``.

    Time of validation does not count. MFU is logged where the device's peak is known.

    Args:
        model: The model.
        device: Name of the device.
        precision: Arithmetic of training, as the trainer names it.
    """

    def __init__(self, model: PanoramaVLM, *, device: str, precision: str) -> None:
        self.model, self.peak = model, peak_flops(device, precision=precision)
        self.rates: dict[str, float] = {}
        self._batches: deque[tuple[float, BatchSize]] = deque(maxlen=WINDOW)
        self._last = self._paused = self._flops = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, now that it is known what trains."""
        self._flops = flops_per_token(self.model)
        self._last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch."""
        now = time.perf_counter()
        self._batches.append((now - self._last, batch_size(batch)))
        self._last = now
        self.rates = self._measure()
        shown = {f"speed/{name}": value for name, value in self.rates.items()}
        pl_module.log_dict(shown, on_step=True, on_epoch=False, batch_size=1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on."""
        self._last += time.perf_counter() - self._paused

    def note(self) -> str:
        """Return the rates for a progress bar.

        Example:
            >>> speed = Speed.__new__(Speed)
            >>> speed.rates = {"rows_per_s": 41.26, "tokens_per_s": 1234.5, "padding": 0.125}
            >>> speed.note()
            '41.3 rows/s, 1,234 tokens/s, 12% padding'
        """
        words = {"rows_per_s": "{:.1f} rows/s", "tokens_per_s": "{:,.0f} tokens/s", "padding": "{:.0%} padding"}
        words["mfu"] = "{:.0%} of peak"
        return ", ".join(text.format(self.rates[key]) for key, text in words.items() if key in self.rates)

    def _measure(self) -> dict[str, float]:
        seconds = max(sum(s for s, _ in self._batches), 1e-9)
        sizes = [size for _, size in self._batches]
        tokens, padded = sum(size.tokens for size in sizes), sum(size.padded for size in sizes)
        rates = {"rows_per_s": sum(size.rows for size in sizes) / seconds}
        if tokens:
            rates |= {"tokens_per_s": tokens / seconds, "padding": padded / (tokens + padded)}
            if self.peak is not None:
                rates["mfu"] = rates["tokens_per_s"] * self._flops / self.peak
        return rates
