"""AutoBatch: the panoramas of an optimiser step in the largest batches that memory holds.

The step stays the same, and so does its loss, the mean over its tokens: 32 panoramas are 1 x 32, 2 x 16 or 8 x 4,
whatever fits. On a CUDA device a batch is tried; on a CPU, where too much memory means swapping and not an error, what
autograd keeps for one panorama is counted and compared with a budget.
"""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from panollava.config.schema import TrainerConfig
from panollava.data.manifest import PanoramaSamples
from panollava.errors import TrainingError
from panollava.training.module import StageModule

logger = logging.getLogger(__name__)

SLACK = 1.25
"""What temporary tensors add to the kept ones."""


def largest_batch(total: int, *, fits: Callable[[int], bool]) -> int:
    """Return the largest divisor of ``total`` that fits.

    Args:
        total: Panoramas of an optimiser step.
        fits: Whether a batch of so many fits.

    Raises:
        TrainingError: If not even one panorama fits.

    Example:
        >>> largest_batch(24, fits=lambda size: size <= 7)
        6
    """
    for size in sorted((d for d in range(1, total + 1) if total % d == 0), reverse=True):
        if fits(size):
            return size
    raise TrainingError(
        "auto_batch: not even one panorama fits in memory; use fewer views or questions_per_panorama, "
        "trainer.gradient_checkpointing, a half precision, or raise trainer.memory_gb"
    )


def longest(panoramas: Sequence[PanoramaSamples], *, count: int) -> tuple[int, ...]:
    """Return the ``count`` panoramas with the most text, which make the largest batch; some twice if there are few."""
    size = [sum(len(s.query) + len(s.answer or "") for s in p.samples) for p in panoramas]
    order = sorted(range(len(panoramas)), key=lambda i: (-size[i], i))
    return tuple(order[i % len(order)] for i in range(count))


def kept_bytes(step: Callable[[], Tensor], *, without: Sequence[Tensor] = ()) -> int:
    """Return the bytes that autograd keeps for the backward pass of a step, each storage once.

    Args:
        step: Computes a loss.
        without: Tensors that are there anyway, such as the weights.
    """
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = step()  # the graph lives until the end, so that no address is used twice
    del loss
    known = {tensor.untyped_storage().data_ptr() for tensor in without}
    return sum(size for address, size in seen.items() if address not in known)


def fits_budget(
    step: Callable[[int], Tensor], *, parameters: Sequence[Tensor], budget_gb: float | None
) -> Callable[[int], bool]:
    """Return whether a batch fits a budget of memory, by what one panorama keeps.

    Args:
        step: The loss of a batch of so many panoramas.
        parameters: All parameters of what trains.
        budget_gb: The budget for gradients, the optimiser's state and activations; None: half of the free memory.
    """
    budget = 0.5 * free_bytes() if budget_gb is None else budget_gb * 2**30
    state = sum(3 * p.numel() * 4 for p in parameters if p.requires_grad)  # gradient and AdamW's two moments
    each = SLACK * kept_bytes(lambda: step(1), without=parameters)
    logger.info("  auto_batch: %.1f MB for each panorama, budget %.0f MB", each / 2**20, budget / 2**20)
    return lambda size: state + each * size <= budget


def fits_device(step: Callable[[int], Tensor], *, parameters: Sequence[Tensor]) -> Callable[[int], bool]:
    """Return whether a batch fits a CUDA device, by trying it with room left for AdamW's state."""

    def fits(size: int) -> bool:
        room = []
        try:
            room = [torch.empty_like(p, dtype=torch.float32) for p in parameters if p.requires_grad for _ in range(2)]
            step(size).backward()
        except torch.cuda.OutOfMemoryError:
            return False
        finally:
            room.clear()
            for parameter in parameters:
                parameter.grad = None
            torch.cuda.empty_cache()
        return True

    return fits


def free_bytes() -> int:
    """Return the memory of this machine that is free."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def choose_batch(module: StageModule, settings: TrainerConfig, *, batch_of: Callable[[int], Any]) -> int:
    """Return how many panoramas to take in a batch of a stage; the step keeps batch_size x accumulation of them.

    Args:
        module: The stage, on the CPU.
        settings: Device, precision and budget.
        batch_of: Makes a batch of the panoramas with the most text, by their number.

    Raises:
        TrainingError: If not even one panorama fits.
    """
    total = module.stage.batch_size * module.stage.accumulation
    cuda = torch.cuda.is_available() and settings.accelerator != "cpu"
    device = torch.device("cuda" if cuda else "cpu")
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(settings.precision)

    def step(size: int) -> Tensor:
        batch = module.transfer_batch_to_device(batch_of(size), device, 0)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            return module.step(batch).loss

    module.to(device)
    weights = list(module.parameters())
    if cuda:
        size = largest_batch(total, fits=fits_device(step, parameters=weights))
    else:
        size = largest_batch(total, fits=fits_budget(step, parameters=weights, budget_gb=settings.memory_gb))
    module.to("cpu")
    logger.info("  auto_batch: %d panoramas a step as %d x %d", total, total // size, size)
    return size
