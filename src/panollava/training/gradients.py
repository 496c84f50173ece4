"""The gradient of a step as one thing: its norm, its scale, its clipping, whether its parts are sharded or not."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor


def norm(gradients: Sequence[Tensor]) -> float:
    """Return the Euclidean norm over all gradients, of which some may be shards.

    Example:
        >>> norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
        5.0
    """
    parts = []
    for group in _kinds(gradients):
        value = torch.nn.utils.get_total_norm(group)
        parts.append(float(value.full_tensor() if isinstance(value, DTensor) else value))
    return parts[0] if len(parts) == 1 else math.hypot(*parts)


def scale(gradients: Sequence[Tensor], factor: float) -> None:
    """Multiply all gradients, in place."""
    for group in _kinds(gradients):
        torch._foreach_mul_(group, factor)


def clip(gradients: Sequence[Tensor], *, largest: float, length: float) -> None:
    """Scale the gradients to a norm of ``largest`` where theirs, ``length``, is above it; as ``clip_grad_norm_``."""
    scale(gradients, min(1.0, largest / (length + 1e-6)))


def average_unsharded(gradients: Sequence[Tensor]) -> None:
    """Average, over all processes, the gradients that no strategy has reduced: those of weights kept whole."""
    for gradient in gradients:
        if not isinstance(gradient, DTensor):
            distributed.all_reduce(gradient)
            gradient /= distributed.get_world_size()


def _kinds(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return shards and whole gradients apart: no operation takes both at once."""
    whole = [g for g in gradients if not isinstance(g, DTensor)]
    shards: list[Tensor] = [g for g in gradients if isinstance(g, DTensor)]
    return [group for group in (whole, shards) if group]
