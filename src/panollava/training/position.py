"""Put Lightning's trainer in the middle of a stage.

A stage is one pass over its plan, so its position is one number: the optimiser steps taken. Lightning counts batches,
optimiser steps and logged steps in loops of its own, and restores them from its own pickled checkpoints; ours hold no
pickle, so the counters are set here. Its loader starts at the same place (``loader(..., start=)``).
"""

from lightning import Trainer


def continue_after(trainer: Trainer, *, steps: int, batches: int) -> None:
    """Let a trainer that has not run yet go on as if it had taken ``steps`` optimiser steps over ``batches`` batches.

    Args:
        trainer: A trainer for one epoch.
        steps: Optimiser steps taken, 0 or more.
        batches: Batches that they read.
    """
    if not steps:
        return
    loop = trainer.fit_loop.epoch_loop
    for count in (loop.batch_progress.total, loop.batch_progress.current):
        count.ready = count.started = count.processed = count.completed = batches
    progress = loop.automatic_optimization.optim_progress.optimizer
    for count in (progress.step.total, progress.step.current):
        count.ready = count.completed = steps
    loop.restarting = True  # or it would begin by setting its counters to 0
    count_logged(trainer, steps=steps)


def count_logged(trainer: Trainer, *, steps: int) -> None:
    """Let the next row of the logs be that of step ``steps``; restarting after a validation counts one too many."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = steps
