"""Keep the best checkpoint beside the last, and stop a stage that no longer gets better."""

import logging
import math
from collections.abc import Callable

from lightning import Callback, LightningModule, Trainer

from panollava.training.module import StageModule

logger = logging.getLogger(__name__)


class BestKeeper(Callback):
    """Compares every validation with the best before it.

    Args:
        module: The stage.
        save: Writes the checkpoint ``best`` of an optimiser step, while validation's weights are in the model.
        patience: Validations without a better loss after which the stage stops; None: never.
        min_delta: How much lower a loss must be to count as better.
    """

    def __init__(
        self, module: StageModule, *, save: Callable[[int], None], patience: int | None, min_delta: float
    ) -> None:
        self.module, self.save, self.patience, self.min_delta = module, save, patience, min_delta
        self.best, self.best_step = math.inf, 0
        self.stopped = False
        self.without = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep, or count; stop when out of patience."""
        loss, step = self.module.last_val_loss, int(trainer.global_step)
        if loss is None:
            return
        if math.isfinite(loss) and loss < self.best - self.min_delta:
            self.best, self.best_step, self.without = loss, step, 0
            self.save(step)
            return
        self.without += 1
        if self.patience is not None and self.without >= self.patience:
            text = "  stopped at step %d: the best validation loss %.4f is of step %d"
            if not self.stopped:
                logger.info(text, step, self.best, self.best_step)
            self.stopped = trainer.should_stop = True
