"""Write checkpoints on the way through a stage, so that whatever stops it costs little."""

import time
from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer

from panollava.training.interrupt import StopSignals, stopped
from panollava.training.module import StageModule
from panollava.training.position import count_logged
from panollava.training.ranks import largest

_NOTHING, _SAVE = 0, -1


class StepCheckpoints(Callback):
    """Saves between two optimiser steps: when it is time, and when a signal asks the stage to stop.

    The moment is before the first batch of a step: what belongs to the steps before, validation among it, is complete.

    Args:
        module: The stage.
        signals: What asks the stage to stop.
        save: Writes the checkpoint of so many optimiser steps and returns its path.
        every: Optimiser steps between two checkpoints; None: no such rhythm.
        minutes: Minutes between two checkpoints; None: no such rhythm.
        first: Optimiser steps taken before: this run's first batch is that of step ``first``.
    """

    def __init__(
        self,
        module: StageModule,
        *,
        signals: StopSignals,
        save: Callable[[int], str],
        every: int | None,
        minutes: float | None,
        first: int = 0,
    ) -> None:
        self.module, self.save, self.every, self.minutes, self.first = module, save, every, minutes, first
        self.signals = signals
        self._last = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen for signals: after Lightning, whose own answer would not write a checkpoint."""
        self.signals.install()
        self._last = time.monotonic()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen again: where only validation is run, Lightning would exchange messages in the middle of it."""
        self.signals.install()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Save, or stop, where a step begins.

        Raises:
            Interrupted: If a signal asked the stage to stop.
        """
        if batch_idx % self.module.stage.accumulation:
            return
        step = int(trainer.global_step)
        if step == self.first:
            count_logged(trainer, steps=step)
        why = self._agreed(self._wanted(step))
        if why == _NOTHING or (step == self.first and why == _SAVE):
            return
        for logger in trainer.loggers:
            logger.save()
        path = self.save(step)
        self._last = time.monotonic()
        if why > 0:
            raise stopped(why, stage=self.module.stage.name, step=step, checkpoint=path)

    def _wanted(self, step: int) -> int:
        """Return the signal that stops this process, _SAVE for a checkpoint, or _NOTHING."""
        if self.signals.received:
            return self.signals.received
        due = self.every is not None and step > 0 and step % self.every == 0
        late = self.minutes is not None and time.monotonic() - self._last >= 60 * self.minutes
        return _SAVE if due or late else _NOTHING

    def _agreed(self, wanted: int) -> int:
        """Return what all processes do: stop, if any has got a signal, or save, if any wants to."""
        stop, save = largest([max(wanted, 0), int(wanted == _SAVE)])
        return stop or (_SAVE if save else _NOTHING)
