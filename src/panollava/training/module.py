"""The Lightning module: thin, because a stage is data and the model knows its own loss."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from panollava.config.schema import StageConfig
from panollava.errors import TrainingError
from panollava.models.vlm import PanoramaBatch, PanoramaVLM
from panollava.training.objectives import OverlapObjective, StepResult
from panollava.training.optim import build_optimizer, lr_factor


class StageModule(LightningModule):
    """One stage of training.

    Args:
        model: The model, already frozen as the stage wants it.
        stage: The row of the stage table.
        total_steps: Optimiser steps of the whole stage.
        overlap: The overlap objective, for a stage that uses it.
    """

    def __init__(
        self, model: PanoramaVLM, stage: StageConfig, *, total_steps: int, overlap: OverlapObjective | None
    ) -> None:
        super().__init__()
        self.model, self.stage, self.total_steps, self.overlap = model, stage, total_steps, overlap
        self.train_losses: list[float] = []
        self.last_val_loss: float | None = None
        self._val: list[tuple[float, int]] = []

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Return the loss of one batch.

        Raises:
            TrainingError: If the loss is not finite.
        """
        result = self._step(batch)
        value = float(result.loss.detach())
        if not torch.isfinite(result.loss.detach()):
            raise TrainingError(
                f"stage '{self.stage.name}' has a loss of {value} at step {self.global_step}; "
                f"lower its lr ({dict(self.stage.lr)}) or use trainer.precision: 32-true"
            )
        self.train_losses.append(value)
        shown = {"train/loss": value, **{f"train/{k}": v for k, v in result.logs.items()}}
        self.log_dict(shown, on_step=True, on_epoch=False, batch_size=1)
        self.log("lr", self.optimizers().param_groups[0]["lr"], on_step=True, batch_size=1)
        return result.loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Add one batch to the validation loss."""
        result = self._step(batch)
        self._val.append((float(result.loss), result.weight))

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss: the mean over supervised tokens (or pairs), not over batches."""
        total = sum(weight for _, weight in self._val)
        self.last_val_loss = sum(loss * weight for loss, weight in self._val) / total if total else None
        self._val.clear()
        if self.last_val_loss is not None:
            self.log("val/loss", self.last_val_loss)

    def on_train_epoch_start(self) -> None:
        """Put frozen parts in evaluation mode: only the adapter has dropout, and only it may use it."""
        self.model.eval()
        if "adapter" in self.stage.trains:
            self.model.language.train()

    def configure_optimizers(self) -> Any:
        """Return AdamW with one rate per component and a schedule that counts optimiser steps."""
        optimizer = build_optimizer(
            self.model, lr=dict(self.stage.lr), weight_decay=self.stage.weight_decay, extra=self.overlap
        )
        warmup = int(self.stage.warmup_fraction * self.total_steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: lr_factor(step, total=self.total_steps, warmup=warmup, schedule=self.stage.schedule),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device."""
        if isinstance(batch, PanoramaBatch):
            return batch.to(device)
        return tuple(group.to(device) for group in batch)

    def _step(self, batch: Any) -> StepResult:
        if self.overlap is not None:
            return self.overlap(self.model, batch)
        answer = self.model.loss(batch)
        return StepResult(answer.loss, {}, answer.tokens)
