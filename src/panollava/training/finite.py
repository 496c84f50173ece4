"""What happens to a step whose loss or gradient is not finite: it is skipped and counted; a few in a row end the stage.

A single bad batch (an overflow in half precision, a degenerate picture) should not cost a run; weights that are NaN
already give nothing else. The step's gradient is thrown away whole, so neither weights nor the optimiser's state move.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from panollava.data.dataset import choose_questions
from panollava.data.manifest import PanoramaSamples
from panollava.errors import TrainingError

logger = logging.getLogger(__name__)


class FinitePolicy:
    """Counts steps that are not finite.

    Args:
        stage: Name of the stage.
        rates: Its learning rates, to be named.
        limit: Bad steps in a row that end the stage.
        describe: What is in a batch of the plan, by its number.
    """

    def __init__(self, *, stage: str, rates: dict[str, float], limit: int, describe: Callable[[int], str]) -> None:
        self.stage, self.rates, self.limit, self.describe = stage, rates, limit, describe
        self.skipped, self._row, self._spoiled = 0, 0, False
        self._bad: list[tuple[int, int, str]] = []

    def state(self) -> dict[str, Any]:
        """Return the counts, as a plain tree."""
        return {"skipped": self.skipped, "row": self._row, "bad": [list(entry) for entry in self._bad]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the counts of a stage that was stopped."""
        self.skipped, self._row = state["skipped"], state["row"]
        self._bad = [(step, batch, what) for step, batch, what in state["bad"]]

    def report(self, what: str, *, batch: int, step: int) -> None:
        """Take note that something of a batch is not finite."""
        self._spoiled = True
        self._bad.append((step, batch, what))

    def close(self) -> bool:
        """End the current step; return whether it must be skipped.

        Raises:
            TrainingError: If it is the last of too many in a row.
        """
        bad, self._spoiled = self._spoiled, False
        if not bad:
            self._row, self._bad = 0, []
            return False
        self.skipped += 1
        self._row += 1
        step, batch, what = self._bad[-1]
        logger.warning("stage '%s': skipped step %d, %s; %s", self.stage, step, what, self.describe(batch))
        if self._row >= self.limit:
            raise TrainingError(self.message())
        return True

    def finish(self, *, steps: int) -> None:
        """End the stage.

        Raises:
            TrainingError: If not one of its steps was finite.
        """
        if steps and self.skipped >= steps:
            raise TrainingError(self.message())

    def message(self) -> str:
        """Return what to tell of the bad steps in a row."""
        step, _, what = self._bad[0]
        seen = "\n".join(f"  step {s}: {self.describe(b)}" for s, b, _ in self._bad[: 2 * self.limit])
        return (
            f"stage '{self.stage}' {what} at step {step}; lower its lr ({self.rates}) or use trainer.precision: "
            f"32-true. Steps in a row that were not finite: {self._row}\n{seen}"
        )


def describer(
    panoramas: Sequence[PanoramaSamples],
    batches: Sequence[tuple[int, tuple[int, ...]]],
    *,
    limit: int | None,
    seed: int,
) -> Callable[[int], str]:
    """Return a function that names the panoramas and manifest rows of a batch of the plan.

    Args:
        panoramas: The training panoramas.
        batches: The plan: (epoch, panoramas) of every batch.
        limit: Questions drawn for each panorama in an epoch.
        seed: Seed of that draw.
    """

    def describe(number: int) -> str:
        epoch, indices = batches[number]
        parts = []
        for i in indices:
            asked = choose_questions(panoramas[i], limit=limit, seed=seed, epoch=epoch, index=i)
            parts.append(f"{asked[0].image_id} (rows {', '.join(str(s.row) for s in asked)})")
        return f"batch {number}: {'; '.join(parts)}"

    return describe
