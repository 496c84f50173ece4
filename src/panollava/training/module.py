"""The Lightning module: thin, because a stage is data and the model knows its own loss."""

import hashlib
import math
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from panollava.config.schema import StageConfig
from panollava.models.resamplers.masked_drop import MaskedDropResampler
from panollava.models.vlm import PanoramaBatch, PanoramaVLM
from panollava.training.execution import recompute_in_training
from panollava.training.finite import FinitePolicy
from panollava.training.gradients import average_unsharded, clip, norm, scale
from panollava.training.objectives import OverlapObjective, StepResult
from panollava.training.optim import build_optimizer, lr_factor
from panollava.training.ranks import total
from panollava.training.shard import shard

UNIT = 1024
"""Tokens that count as 1 while gradients are added up: a power of two, which changes no bit of a mantissa."""


def batch_seed(seed: int, *, stage: str, batch: int, rank: int = 0) -> int:
    """Return the seed of a batch's random numbers.

    Example:
        >>> batch_seed(0, stage="finetune", batch=1) == batch_seed(0, stage="finetune", batch=1)
        True
        >>> len({batch_seed(0, stage=s, batch=b, rank=r) for s in "ab" for b in (0, 1) for r in (0, 1)})
        8
    """
    name = f"{seed}/{stage}/{batch}/{rank}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") >> 1


class StageModule(LightningModule):
    """One stage of training.

    The loss of an optimiser step is the mean over its supervised tokens (or pairs), however they are spread over its
    batches and over processes: a batch counts by its tokens, not as one. Lightning divides by the number of batches
    and of processes; the gradient is brought to the mean over tokens when the step is complete, so that nothing has to
    be known beforehand.

    Args:
        model: The model, already frozen as the stage wants it.
        stage: The row of the stage table.
        total_steps: Optimiser steps of the whole stage.
        overlap: The overlap objective, for a stage that uses it.
        finite: What happens to steps that are not finite.
        seed: Of dropout and of hidden tokens, which are functions of it, the stage and the batch.
        clip: Largest norm of the gradient of a step; None: no clipping.
        idle: Numbers of training batches that count for nothing; see ``StagePlan.part``.
        idle_val: The same of validation batches.
    """

    def __init__(
        self,
        model: PanoramaVLM,
        stage: StageConfig,
        *,
        total_steps: int,
        overlap: OverlapObjective | None,
        finite: FinitePolicy,
        seed: int = 0,
        clip: float | None = None,
        idle: frozenset[int] = frozenset(),
        idle_val: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__()
        self.model, self.stage, self.total_steps, self.overlap = model, stage, total_steps, overlap
        self.finite, self.seed, self.clip = finite, seed, clip
        self.idle, self.idle_val = idle, idle_val
        self.train_losses: list[float] = []
        self.last_val_loss: float | None = None
        self.validated_step = -1
        self.steps_taken = 0
        self.sharded = False
        self._val: list[tuple[float, float]] = []
        self._weight, self._weighted = 0.0, False
        self._batch = 0

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Draw what this batch draws from numbers of its own, whatever came before it in this process."""
        torch.manual_seed(batch_seed(self.seed, stage=self.stage.name, batch=batch_idx, rank=self.global_rank))
        if isinstance(self.model.resampler, MaskedDropResampler):
            self.model.resampler.step = batch_idx

    def training_step(self, batch: Any, index: int) -> Tensor | None:
        """Return the loss of one batch, weighted within its step; None if it is not finite."""
        alone = self.trainer.world_size == 1
        result, self._batch = self.step(batch, idle=index in self.idle), index
        value = self._mean(float(result.loss.detach()), result.weight)
        if not math.isfinite(value):
            self.finite.report(f"has a loss of {value}", batch=index, step=self.global_step)
            if alone:
                return None  # of several processes each goes on: the others wait for its part of the gradient
        else:
            self.train_losses.append(value)
            shown = {"train/loss": value, **{f"train/{k}": v for k, v in result.logs.items()}}
            self.log_dict(shown, on_step=True, on_epoch=False, batch_size=1)
        self.log("lr", self.optimizers().param_groups[0]["lr"], on_step=True, batch_size=1)
        self._weighted = not (alone and self.stage.accumulation == 1)
        self._weight += result.weight
        return result.loss * (result.weight / UNIT) if self._weighted else result.loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Make the gradient the mean over the step's tokens; drop it if anything in the step was not finite.

        Raises:
            TrainingError: If too many steps in a row were not finite.
        """
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.sharded:
            average_unsharded(gradients)
        if self._weighted:
            [weight] = total([self._weight])
            scale(gradients, self.trainer.world_size * self.stage.accumulation * UNIT / max(weight, 1.0))
        self._weight = 0.0
        length = norm(gradients) if gradients else 0.0
        if not math.isfinite(length) and self.trainer.precision != "16-mixed":  # there the scaler expects overflows
            self.finite.report(f"has a gradient of norm {length}", batch=self._batch, step=self.global_step)
        if self.clip is not None:
            clip(gradients, largest=self.clip, length=length)
        if self.finite.close():
            optimizer.zero_grad(set_to_none=True)  # without a gradient AdamW leaves weights and state as they are
        else:
            self.steps_taken += 1

    def validation_step(self, batch: Any, index: int) -> None:
        """Add one batch to the validation loss."""
        result = self.step(batch, idle=index in self.idle_val)
        self._val.append((float(result.loss), result.weight))

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss: the mean over supervised tokens (or pairs), not over batches."""
        terms = [sum(loss * weight for loss, weight in self._val), sum(weight for _, weight in self._val)]
        losses, weights = total(terms) if self.trainer.world_size > 1 else terms
        self.last_val_loss = losses / weights if weights else None
        self.validated_step = self.global_step
        self._val.clear()
        if self.last_val_loss is not None:
            self.log("val/loss", self.last_val_loss, rank_zero_only=True)

    def on_train_epoch_start(self) -> None:
        """Put frozen parts in evaluation mode: only the adapter has dropout, and only it may use it."""
        self.model.eval()
        if self.model.resampler is not None:
            self.model.resampler.train()  # masked drop hides tokens in training alone
        if "adapter" in self.stage.trains:
            self.model.language.train()
        recompute_in_training(self.model)

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

    def configure_model(self) -> None:
        """Shard the weights over the processes, where the strategy does that."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ModelParallelStrategy) and not self.sharded:
            shard(self.model, mesh=strategy.device_mesh["data_parallel"])
            self.sharded = True

    def step(self, batch: Any, *, idle: bool = False) -> StepResult:
        """Return the loss of a batch by the stage's objective."""
        if self.overlap is not None:
            return self.overlap(self.model, batch, idle=idle)
        answer = self.model.loss(batch)
        return StepResult(answer.loss, {}, 0 if idle else answer.tokens)

    def _mean(self, loss: float, weight: float) -> float:
        """Return the loss of a batch over all processes."""
        if self.trainer.world_size == 1:
            return loss
        losses, weights = total([loss * weight, weight])
        return losses / weights if weights else math.nan
