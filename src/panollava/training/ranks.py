"""The processes of a run: one for each device, started by torchrun, which says so in the environment.

::

    torchrun --nproc-per-node 2 -m panollava train ...     RANK 0, 1; WORLD_SIZE 2

All of them read the same plan and take the same steps; the first one, the lead, alone writes to disk. Nothing here
does anything where there is one process.
"""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, distributed

_PATIENCE = datetime.timedelta(hours=1)
"""How long a process waits for the others before it takes them for lost."""


def planned() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_lead() -> bool:
    """Whether this is the process that writes to disk."""
    return rank() == 0


def join(*, accelerator: str) -> None:
    """Meet the other processes; Lightning goes on with the group that is made here.

    Args:
        accelerator: As of ``trainer.accelerator``.
    """
    if planned() == 1 or distributed.is_initialized():
        return
    # The lead may look at many images while the others wait for it.
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=_PATIENCE)


def leave() -> None:
    """Part from the others, at the end of a run."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def barrier() -> None:
    """Wait for the others."""
    if distributed.is_initialized():
        distributed.barrier()


@contextmanager
def lead_first() -> Iterator[None]:
    """Let the lead do something first, so that the others find on disk what it made."""
    if not is_lead():
        barrier()
    yield
    if is_lead():
        barrier()


def from_lead(text: str) -> str:
    """Return the lead's text to every process."""
    if not distributed.is_initialized():
        return text
    data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=_device())
    length = torch.tensor([len(data)], device=_device())
    distributed.broadcast(length, src=0)
    if not is_lead():
        data = torch.empty(int(length), dtype=torch.uint8, device=_device())
    distributed.broadcast(data, src=0)
    return bytes(data.tolist()).decode()


def total(values: list[float]) -> list[float]:
    """Return the sums of numbers over all processes, in double precision."""
    if not distributed.is_initialized():
        return values
    numbers = torch.tensor(values, dtype=torch.float64, device=_device())
    distributed.all_reduce(numbers)
    return [float(number) for number in numbers]


def largest(values: list[int]) -> list[int]:
    """Return the largest of each number over all processes."""
    if not distributed.is_initialized():
        return values
    numbers = torch.tensor(values, device=_device())
    distributed.all_reduce(numbers, op=distributed.ReduceOp.MAX)
    return [int(number) for number in numbers]


def gathered(rows: Float[Tensor, "m d"], *, panoramas: int, idle: bool) -> Float[Tensor, "k d"]:
    """Return the rows of all processes in the order of the whole batch; gradients flow to this process's rows alone.

    Each process computes the loss of the whole batch and sends its gradient through its own rows, times the number of
    processes, so that the mean over processes, which is what they exchange, is the gradient of that loss.

    Panorama i of the batch is with process ``i mod W``, at place ``i div W``.

    Args:
        rows: Rows of this process: equally many for each panorama, panoramas first.
        panoramas: Panoramas of this process.
        idle: They stand in for none: there were fewer panoramas than processes.
    """
    if not distributed.is_initialized():
        return rows
    world = distributed.get_world_size()
    here = rearrange(rows, "(b n) d -> b n d", b=panoramas)
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world)]
    distributed.all_gather(counts, torch.tensor([0 if idle else panoramas], device=rows.device))
    held = [int(count) for count in counts]
    short = max(held) - panoramas
    padded = torch.cat([here, here.new_zeros(short, *here.shape[1:])]) if short > 0 else here
    parts = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(parts, padded.detach().contiguous())
    parts[rank()] = padded.detach() + (padded - padded.detach()) * world  # the value stays, to the bit
    everything = rearrange(torch.stack(parts, dim=1), "b w n d -> (b w) n d")[: sum(held)].flatten(0, 1)
    return everything + 0.0 * rows.sum()  # an idle process takes part in the backward pass too


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
