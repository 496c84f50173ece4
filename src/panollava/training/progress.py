"""One progress line per stage: step, loss, and the time that is left."""

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
        disable=not sys.stderr.isatty(),
        refresh_per_second=4,
    )


class StageProgress(Callback):
    """Shows the batches of a stage on a shared progress bar."""

    def __init__(self, name: str, *, total: int) -> None:
        self.name, self.total = name, total
        self.bar = progress_bar()
        self.task: TaskID | None = None
        self._mean: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar."""
        self.bar.start()
        self.task = self.bar.add_task(self.name, total=self.total, note="")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Advance it, with a running mean of the loss."""
        value = float(outputs["loss"]) if isinstance(outputs, dict) else float(outputs)
        self._mean = value if self._mean is None else 0.95 * self._mean + 0.05 * value
        if self.task is not None:
            self.bar.update(self.task, advance=1, note=f"loss {self._mean:.3f}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal usable."""
        self.bar.stop()
