"""One progress line per stage: step, loss, and the time that is left."""

import os
import sys
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from panollava.training.module import StageModule
from panollava.training.speed import Speed


def progress_bar(console: Console | None = None) -> Progress:
    """Return a progress bar with counts, elapsed time and ETA; silent where standard error is no terminal."""
    return Progress(
        TextColumn("[bold]{task.description:<22}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console or Console(stderr=True),
        disable=not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0",
        refresh_per_second=4,
    )


class StageProgress(Callback):
    """Shows the batches of a stage on a shared progress bar, with a running mean of the loss and the speed.

    Args:
        module: The stage.
        name: What to call the bar.
        total: Batches of the stage.
        done: Batches that were read before.
        speed: Measures how fast it runs; must come before this in the trainer's callbacks.
    """

    def __init__(self, module: StageModule, *, name: str, total: int, speed: Speed, done: int = 0) -> None:
        self.module, self.name, self.total, self.speed, self.done = module, name, total, speed, done
        self.bar = progress_bar()
        self.task: TaskID | None = None
        self._mean: float | None = None
        self._seen = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar."""
        self.bar.start()
        self.task = self.bar.add_task(self.name, total=self.total, completed=self.done, note="")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Advance it."""
        losses = self.module.train_losses
        if len(losses) > self._seen:  # a batch that was not finite adds none
            self._seen = len(losses)
            self._mean = losses[-1] if self._mean is None else 0.95 * self._mean + 0.05 * losses[-1]
        if self.task is not None:
            loss = "" if self._mean is None else f"loss {self._mean:.3f}, "
            self.bar.update(self.task, advance=1, note=loss + self.speed.note())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal usable."""
        self.bar.stop()
