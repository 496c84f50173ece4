"""Spread the blocks of the towers over the processes of a run: FSDP2 (Zhao et al. 2023; torch's ``fully_shard``).

Each process keeps a part of the weights of every transformer block, and of their gradients and optimiser state; a
block's whole weights are there only while it computes. What lies outside the blocks (embeddings, resampler, projector,
position, expander) is small, stays whole in every process, and its gradients are averaged when a step is complete.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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
        fully_shard(block, mesh=mesh, reshard_after_forward=True)  # else a block alone keeps its weights whole


def is_sharded(model: nn.Module) -> bool:
    """Whether a model was sharded."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


@contextmanager
def whole_weights(model: nn.Module) -> Iterator[None]:
    """Let a model have whole weights inside, to be read; every process must ask. Nothing may be computed inside."""
    shards = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if isinstance(parameter, DTensor)
    ]
    for module, name, parameter in shards:
        full = parameter.full_tensor().detach()
        module._parameters[name] = nn.Parameter(full, requires_grad=parameter.requires_grad)
    try:
        yield
    finally:
        for module, name, parameter in shards:
            module._parameters[name] = parameter


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor whole, from its shards if it has some; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(value: Tensor, tensor: Tensor) -> Tensor:
    """Return a whole tensor, which every process has, as another one is kept: as shards, or whole; nothing is sent."""
    if isinstance(tensor, DTensor) and value.shape == tensor.shape:
        return distribute_tensor(value.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None)
    return value.to(tensor.device) if value.shape == tensor.shape else value
