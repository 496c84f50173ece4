"""What a stage needs to go on as if it had never stopped: captured between two steps, and restored.

::

    model                                     in the checkpoint beside it
    optimizer/<parameter>/<state>             AdamW's averages and counts
    average/<parameter>                       the moving average of the weights, if one is kept
    overlap/<parameter>                       the expander of the overlap objective
    values                                    counts of steps, schedule, scaler, losses, best validation, skipped steps

Order, questions, augmentation, dropout and hidden tokens are functions of (seed, stage, batch): they need no state.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from panollava.checkpoints.state import TrainingState
from panollava.errors import CheckpointError
from panollava.training.average import WeightAverage
from panollava.training.best import BestKeeper
from panollava.training.module import StageModule
from panollava.training.shard import like, whole

KEPT_LOSSES = 20
"""The final loss of a stage is the mean of so many."""


def capture(
    module: StageModule, trainer: Trainer, *, average: WeightAverage | None, keeper: BestKeeper | None
) -> TrainingState:
    """Return the state of a stage between two optimiser steps; tensors are whole, and live where they are not shards.

    Args:
        module: The stage.
        trainer: What runs it.
        average: The moving average of its weights, if one is kept.
        keeper: What looks for the best validation, if anything does.
    """
    names = {parameter: name for name, parameter in module.named_parameters()}
    tensors = {
        f"optimizer/{names[parameter]}/{key}": whole(value)
        for parameter, state in trainer.optimizers[0].state.items()
        for key, value in sorted(state.items())  # shards are gathered: every process must ask in the same order
    }
    if average is not None:
        tensors |= {f"average/{name}": whole(value) for name, value in average.average.items()}
    tensors |= {f"overlap/{name}": value for name, value in _overlap(module)}
    schedule = trainer.lr_scheduler_configs[0].scheduler
    values = {
        "steps": int(trainer.global_step),
        "schedule": {k: v for k, v in schedule.state_dict().items() if k != "lr_lambdas"},
        "scaler": trainer.precision_plugin.state_dict(),
        "module": {
            "steps_taken": module.steps_taken,
            "last_val_loss": module.last_val_loss,
            "validated_step": module.validated_step,
            "losses": module.train_losses[-KEPT_LOSSES:],
        },
        "finite": module.finite.state(),
        "average_steps": None if average is None else average.steps,
        "best": None if keeper is None else _best(keeper),
    }
    return TrainingState(tensors, values)


def restore(
    state: TrainingState,
    module: StageModule,
    trainer: Trainer,
    *,
    average: WeightAverage | None,
    keeper: BestKeeper | None,
) -> None:
    """Put a stage back where ``capture`` found it; the trainer has set up its optimiser, and not begun.

    Raises:
        CheckpointError: If the state is of another model or optimiser.
    """
    _restore_optimizer(state, module, trainer)
    values = state.values
    schedule = trainer.lr_scheduler_configs[0].scheduler
    schedule.load_state_dict({**schedule.state_dict(), **values["schedule"]})
    if values["scaler"]:
        trainer.precision_plugin.load_state_dict(values["scaler"])
    kept = values["module"]
    module.steps_taken, module.last_val_loss = kept["steps_taken"], kept["last_val_loss"]
    module.validated_step, module.train_losses = kept["validated_step"], list(kept["losses"])
    module.finite.restore(values["finite"])
    with torch.no_grad():
        for name, parameter in _overlap(module):
            parameter.copy_(_tensor(state, f"overlap/{name}"))
    if average is not None:
        kept_whole = dict(_below(state, "average/"))
        average.average = {n: like(kept_whole[n], p) for n, p in module.model.named_parameters() if n in kept_whole}
        average.steps = values["average_steps"]
    if keeper is not None and (best := values["best"]) is not None:
        keeper.best = math.inf if best["loss"] is None else best["loss"]
        keeper.best_step, keeper.without = best["step"], best["without"]


class Restore(Callback):
    """Puts the state back once the trainer has set up its optimiser.

    Args:
        state: What ``capture`` returned.
        module, average, keeper: As of ``restore``.
    """

    def __init__(
        self,
        state: TrainingState,
        module: StageModule,
        *,
        average: WeightAverage | None,
        keeper: BestKeeper | None,
    ) -> None:
        self.state, self.module, self.average, self.keeper = state, module, average, keeper

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore."""
        restore(self.state, self.module, trainer, average=self.average, keeper=self.keeper)


def _restore_optimizer(state: TrainingState, module: StageModule, trainer: Trainer) -> None:
    optimizer, names = trainer.optimizers[0], {p: name for name, p in module.named_parameters()}
    held: dict[str, dict[str, Tensor]] = {}
    for key, value in _below(state, "optimizer/"):
        name, _, kind = key.rpartition("/")
        held.setdefault(name, {})[kind] = value
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    order = [names[p] for p in trained]
    strange = sorted(held.keys() - set(order))
    if strange:
        raise CheckpointError(
            f"the optimiser's state is of other weights than this stage trains: {', '.join(strange[:3])}; "
            "resume with the configuration of the run, or start it again with --resume never"
        )
    whole = optimizer.state_dict()
    whole["state"] = {
        place: {kind: like(value, trained[place]) for kind, value in held[name].items()}
        for place, name in enumerate(order)
        if name in held
    }
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(whole)
    for group, rate, now in zip(optimizer.param_groups, rates, state.values["schedule"]["_last_lr"], strict=True):
        group["lr"] = now if now is not None else rate


def _overlap(module: StageModule) -> Iterator[tuple[str, Tensor]]:
    if module.overlap is not None:
        yield from ((name, parameter.detach()) for name, parameter in module.overlap.named_parameters())


def _best(keeper: BestKeeper) -> dict[str, Any]:
    return {
        "loss": keeper.best if math.isfinite(keeper.best) else None,
        "step": keeper.best_step,
        "without": keeper.without,
    }


def _below(state: TrainingState, prefix: str) -> Iterator[tuple[str, Tensor]]:
    return ((key.removeprefix(prefix), value) for key, value in state.tensors.items() if key.startswith(prefix))


def _tensor(state: TrainingState, key: str) -> Tensor:
    if key not in state.tensors:
        raise CheckpointError(f"the stage's state has no {key}; resume with the configuration of the run")
    return state.tensors[key]
