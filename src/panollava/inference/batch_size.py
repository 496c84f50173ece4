"""A batch that halves where memory runs out, and tries again: the answers are those of any other size.

::

    questions at a time   32 -> out of memory -> 16 -> out of memory -> 8 ... 8 ... 8      it stays where it went
                                                                     1 -> out of memory -> OutOfMemory, with advice
"""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import torch

from panollava.errors import OutOfMemory
from panollava.out_of_memory import advice, is_out_of_memory

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

WAYS = (
    "generation.max_new_tokens: a shorter answer needs fewer keys and values (generation.batch_size and "
    "evaluation.batch_size need not be lowered: they were, to 1)",
    "language.dtype: bfloat16, or language.quantization: nf4, and train again",
    "views.size_px or views.kind with fewer vision tokens, and train again",
    "other programs that hold memory of the same device; a device with more of it",
)


@dataclass(slots=True)
class BatchSize:
    """How many things are done together; halved where memory runs out, and never raised again.

    Attributes:
        size: How many, at least 1.
        what: What they are, in the plural, for the log.
    """

    size: int
    what: str

    def fit(self, work: Callable[[int], Result], *, most: int) -> Result:
        """Return ``work(size)`` with the largest size that memory holds.

        Args:
            work: Does all of a piece of work, so many things at a time; it must be repeatable.
            most: How many things there are; no more than that are done together.

        Raises:
            OutOfMemory: If memory runs out at one.
        """
        while True:
            size = max(1, min(self.size, most))
            try:
                return work(size)
            except (RuntimeError, MemoryError, cv2.error) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise self._too_little(error) from error
                said = str(error).strip().splitlines()
            # Here the error is gone, and with its traceback every frame that held a tensor.
            self._halve(size, said[0] if said else "")

    def each(self, items: Sequence[Item], work: Callable[[Sequence[Item]], Result]) -> Iterator[Result]:
        """Yield ``work`` of one batch of the items after the other, in their order.

        Raises:
            OutOfMemory: If memory runs out at one item.
        """
        start = 0
        while start < len(items):
            left = items[start:]
            result, size = self.fit(lambda size, left=left: (work(left[:size]), size), most=len(left))  # type: ignore[misc]
            yield result
            start += size

    def _too_little(self, error: Exception) -> OutOfMemory:
        if isinstance(error, OutOfMemory):  # a smaller piece of the same work has said it
            return error
        return OutOfMemory(advice(error, doing=f"{self.what}, 1 at a time", ways=WAYS))

    def _halve(self, size: int, said: str) -> None:
        self.size = size // 2
        logger.warning("out of memory with %d %s at a time; going on with %d (%s)", size, self.what, self.size, said)
        free_memory()


def free_memory() -> None:
    """Give back what is not held any more, to the device too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
