"""Measure attention kernels on packed panoramas, beside dense attention over the padded batch."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from panollava.data.pack import PAD_SEGMENT, PackedText, branch_mask
from panollava.errors import ModelError
from panollava.models.attention import PackedAttention
from panollava.models.attention_kernels import available

DENSE = "dense mask"
"""SDPA over the padded batch: what the packed kernels replace."""


@dataclass(frozen=True, slots=True)
class BatchShape:
    """A batch of packed panoramas; panorama k has ``questions`` of them, less k modulo ``questions``.

    Raises:
        ModelError: If a number is below 1, or the heads do not divide.

    Example:
        >>> BatchShape(panoramas=2, prefix=10, questions=2, branch=3).tokens
        29
    """

    panoramas: int = 4
    prefix: int = 495
    questions: int = 4
    branch: int = 50
    heads: int = 14
    key_heads: int = 2
    head_dim: int = 64

    def __post_init__(self) -> None:
        numbers = (self.panoramas, self.prefix, self.questions, self.branch, self.heads, self.key_heads, self.head_dim)
        if min(numbers) < 1 or self.heads % self.key_heads:
            raise ModelError(f"{self} cannot be measured: every number is 1 or more, and key_heads divides heads")

    def text(self, device: str) -> PackedText:
        """Return the token side of the batch; only segments and positions mean something."""
        width = self.prefix + self.questions * self.branch
        segments = torch.full((self.panoramas, width), PAD_SEGMENT)
        positions = torch.zeros(self.panoramas, width, dtype=torch.long)
        segments[:, : self.prefix] = 0
        positions[:, : self.prefix] = torch.arange(self.prefix)
        for row in range(self.panoramas):
            for k in range(self.questions - row % self.questions):
                place = slice(self.prefix + k * self.branch, self.prefix + (k + 1) * self.branch)
                segments[row, place] = k + 1
                positions[row, place] = self.prefix + torch.arange(self.branch)
        fill = torch.zeros_like(segments)
        return PackedText(fill, fill, positions, segments).to(torch.device(device))

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return int((self.text("cpu").segments != PAD_SEGMENT).sum())

    @property
    def padded(self) -> int:
        """Places of the padded batch."""
        return self.panoramas * (self.prefix + self.questions * self.branch)


@dataclass(frozen=True, slots=True)
class KernelFigures:
    """What one kernel costs, or why it cannot run; memory where the device can tell."""

    kernel: str
    reason: str = ""
    forward_ms: float = 0.0
    backward_ms: float | None = None
    memory_mib: float | None = None
    distance: float = 0.0


def measure_kernels(shape: BatchShape, *, device: str, dtype: torch.dtype, rounds: int = 5) -> Iterator[KernelFigures]:
    """Yield the figures of dense attention, then of every packed kernel.

    Args:
        shape: The batch.
        device: Type of the device.
        dtype: Data type of queries, keys and values.
        rounds: Repetitions after one to warm up; the quickest counts.
    """
    text, random = shape.text(device), torch.Generator().manual_seed(0)
    b, t = text.segments.shape
    sizes = [(b, n, t, shape.head_dim) for n in (shape.heads, shape.key_heads, shape.key_heads)]
    padded = [torch.randn(size, generator=random).to(device, dtype) for size in sizes]
    order = PackedAttention(text).order
    stream = [rearrange(x, "b h t d -> (b t) h d")[order].transpose(0, 1)[None].contiguous() for x in padded]
    mask = branch_mask(text.segments)

    def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=shape.heads != shape.key_heads)

    whole = dense(*(x.float() for x in padded))
    exact = rearrange(whole, "b h t d -> (b t) h d")[order]
    flat: Callable[[Tensor], Tensor] = lambda out: rearrange(out, "b h t d -> (b t) h d")[order]  # noqa: E731
    yield _measured(DENSE, dense, padded, exact, read=flat, rounds=rounds)
    for kernel, reason in available(device, dtype).items():
        if kernel == "eager" or reason:
            yield KernelFigures(kernel, reason or "the dense mask above, without SDPA")
            continue
        packed = PackedAttention(text, kernel=kernel)
        attend = lambda q, k, v, packed=packed: packed(q, k, v, scale=None)  # noqa: E731
        yield _measured(kernel, attend, stream, exact, read=lambda out: out[0], rounds=rounds)


def _measured(
    kernel: str,
    attend: Callable[..., Tensor],
    inputs: list[Tensor],
    exact: Tensor,
    *,
    read: Callable[[Tensor], Tensor],
    rounds: int,
) -> KernelFigures:
    """Run a kernel forward and backward; the quickest round counts."""
    gpu = inputs[0].is_cuda
    leaves = [x.detach().clone().requires_grad_(True) for x in inputs]
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    forward, backward, distance = [], [], 0.0
    for _ in range(rounds + 1):
        start = _now(gpu=gpu)
        out = attend(*leaves)
        middle = _now(gpu=gpu)
        out.sum().backward()
        forward.append(middle - start)
        backward.append(_now(gpu=gpu) - middle)
        distance = float((read(out.detach()).float() - exact).abs().max())
    memory = (torch.cuda.max_memory_allocated() - before) / 2**20 if gpu else None
    return KernelFigures(kernel, "", 1e3 * min(forward[1:]), 1e3 * min(backward[1:]), memory, distance)


def _now(*, gpu: bool) -> float:
    """Return seconds, once a GPU is done."""
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter()
