"""An exponential moving average of the weights that train.

Polyak and Juditsky 1992 (averaging); Tarvainen and Valpola 2017 (its exponential form).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from panollava.training.module import StageModule


class WeightAverage(Callback):
    """Averages the trainable parameters after every optimiser step, and lends the average.

    ``average = d average + (1 - d) weights`` with ``d = min(decay, (1 + t) / (10 + t))`` at step t, so that a short
    stage is not held to where it began. A skipped step leaves the average as it is.

    Attributes:
        average: The average, by name.
        steps: Optimiser steps that it has seen.

    Args:
        module: The stage.
        decay: Share of the old average, close to 1.
        validate: Whether validation sees the average.
    """

    def __init__(self, module: StageModule, *, decay: float, validate: bool) -> None:
        self.module, self.decay, self.validate = module, decay, validate
        self.average: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] | None = None
        self.steps = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the weights as they are, unless the average of a stopped stage was put back."""
        if self.average:
            return
        self.average = {name: p.detach().clone() for name, p in self._trainable()}

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Take the weights in after an optimiser step that changed them."""
        if self.module.steps_taken == self.steps:
            return
        self.steps = self.module.steps_taken
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in self._trainable():
            self.average[name].lerp_(parameter.detach(), 1.0 - decay)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lend the average to validation."""
        if self.validate:
            self._lend()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take it back."""
        self._restore()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the averaged weights inside."""
        lent = self._weights is None
        if lent:
            self._lend()
        yield
        if lent:
            self._restore()

    def keep(self) -> None:
        """Let the model have the averaged weights for good."""
        self._lend()
        self._weights = None

    @torch.no_grad()
    def _lend(self) -> None:
        self._weights = {name: p.detach().clone() for name, p in self._trainable()}
        for name, parameter in self._trainable():
            parameter.copy_(self.average[name])

    @torch.no_grad()
    def _restore(self) -> None:
        if self._weights is not None:
            for name, parameter in self._trainable():
                parameter.copy_(self._weights[name])
        self._weights = None

    def _trainable(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        return ((name, p) for name, p in self.module.model.named_parameters() if p.requires_grad)
