"""Spread the blocks of the towers over the processes of a run: FSDP2 (Zhao et al. 2023; torch's ``fully_shard``).

Each process keeps a part of the weights of every transformer block, and of their gradients and optimiser state; a
block's whole weights are there only while it computes. What lies outside the blocks (embeddings, resampler, projector,
position, expander) is small, stays whole in every process, and its gradients are averaged when a step is complete.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from panollava.errors import TrainingError


def shard(model: nn.Module, *, mesh: DeviceMesh) -> None:
    """Shard every transformer block of a model, in place.

    Args:
        model: The model, with whole weights in every process.
        mesh: The processes.

    Raises:
        TrainingError: If the model has no blocks of transformers' kind.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    blocks = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not blocks:
        raise TrainingError("trainer.strategy is fsdp, and no block of this model can be sharded; write ddp")
    for block in blocks:
        fully_shard(block, mesh=mesh)


def is_sharded(model: nn.Module) -> bool:
    """Whether a model was sharded."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


@contextmanager
def whole_weights(model: nn.Module) -> Iterator[None]:
    """Let every process have the whole weights of every block inside, to be read."""
    blocks: list[Any] = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for block in blocks:
        block.unshard()
    yield
    for block in blocks:
        block.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whole, from its shards if it has some; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(value: Tensor, tensor: Tensor) -> Tensor:
    """Return a whole tensor as another one is kept: as shards, or whole."""
    if isinstance(tensor, DTensor) and value.shape == tensor.shape:
        return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements)
    return value.to(tensor.device) if value.shape == tensor.shape else value
