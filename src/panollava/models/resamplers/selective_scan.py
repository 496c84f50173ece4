"""The selective state space recurrence of Mamba (Gu and Dao 2023, equations 1a, 1b and algorithm 2).

::

    h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t          one state of s numbers per channel
    y_t = C_t . h_t + D x_t

Written h_t = a_t h_(t-1) + b_t it is a scan of an associative operation. Here: in parallel inside chunks, by doubling
(Hillis and Steele 1986), then chunk after chunk. Every factor is a product of numbers in (0, 1], so nothing overflows,
as dividing by a running product would. Its gradient is the same scan from the end, so only a and h are kept for it.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 16
"""Steps that are scanned in parallel."""


def selective_scan(
    x: Float[Tensor, "n t d"],
    delta: Float[Tensor, "n t d"],
    *,
    A: Float[Tensor, "d s"],
    B: Float[Tensor, "n t s"],
    C: Float[Tensor, "n t s"],
    D: Float[Tensor, " d"],
) -> Float[Tensor, "n t d"]:
    """Return y; by the fused kernel of ``mamba_ssm`` on a GPU where that is installed, else by this file's scan.

    States are float32 at least, whatever the type of the input.

    Example:
        >>> one = torch.ones(1, 3, 1)
        >>> A, D = torch.zeros(1, 1), torch.zeros(1)
        >>> selective_scan(one, one, A=A, B=one, C=one, D=D).flatten().tolist()  # nothing is forgotten: a sum
        [1.0, 2.0, 3.0]
    """
    kernel = fused_kernel() if x.is_cuda else None
    if kernel is not None:
        return call_kernel(kernel, x, delta, A=A, B=B, C=C, D=D)
    wide = torch.promote_types(x.dtype, torch.float32)  # halves would forget small steps, as the kernel does not
    u, step, b, c = (v.to(wide) for v in (x, delta, B, C))
    states = linear_scan(torch.exp(step[..., None] * A.to(wide)), (step * u)[..., None] * b[:, :, None, :])
    return ((states * c[:, :, None, :]).sum(dim=-1) + D.to(wide) * u).to(x.dtype)


def linear_scan(
    a: Float[Tensor, "n t d s"], b: Float[Tensor, "n t d s"], *, chunk: int = CHUNK
) -> Float[Tensor, "n t d s"]:
    """Return h with h_t = a_t h_(t-1) + b_t and h before the first step 0; differentiable once."""
    states: Tensor = _LinearScan.apply(a, b, chunk)
    return states


@functools.cache
def fused_kernel() -> Callable[..., Any] | None:
    """Return the fused CUDA kernel of ``mamba_ssm``, or None where the package is not installed."""
    if importlib.util.find_spec("mamba_ssm") is None:
        return None
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    kernel: Callable[..., Any] = selective_scan_fn
    return kernel


def call_kernel(
    kernel: Callable[..., Any],
    x: Float[Tensor, "n t d"],
    delta: Float[Tensor, "n t d"],
    *,
    A: Float[Tensor, "d s"],
    B: Float[Tensor, "n t s"],
    C: Float[Tensor, "n t s"],
    D: Float[Tensor, " d"],
) -> Float[Tensor, "n t d"]:
    """Call a kernel that has time last: u, delta (n d t), A (d s), B, C (n s t), D (d)."""
    turned = (v.transpose(1, 2).contiguous() for v in (x, delta))
    b, c = (v.transpose(1, 2).contiguous() for v in (B, C))
    y: Tensor = kernel(*turned, A, b, c, D=D)
    return y.transpose(1, 2)


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, chunk: int) -> Tensor:
        states = _scan(a, b, chunk=chunk)
        ctx.save_for_backward(a, states)
        ctx.chunk = chunk
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """With G_t = g_t + a_(t+1) G_(t+1): the gradient of b is G, that of a_t is G_t h_(t-1)."""
        a, states = ctx.saved_tensors
        later = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], dim=1)
        total = _scan(later.flip(1), grad.flip(1), chunk=ctx.chunk).flip(1)
        before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)
        return total * before, total, None


def _scan(a: Tensor, b: Tensor, *, chunk: int) -> Tensor:
    n, steps, *rest = a.shape
    fill = a.new_zeros(n, -steps % chunk, *rest)
    a, b = (torch.cat([v, fill], dim=1).reshape(n, -1, chunk, *rest) for v in (a, b))
    reach = 1
    while reach < chunk:  # after this, place i of a chunk has folded the `reach` places up to i
        b = torch.cat([b[:, :, :reach], b[:, :, reach:] + a[:, :, reach:] * b[:, :, :-reach]], dim=2)
        a = torch.cat([a[:, :, :reach], a[:, :, reach:] * a[:, :, :-reach]], dim=2)
        reach *= 2
    state = a.new_zeros(n, 1, *rest)
    parts = []
    for number in range(a.shape[1]):
        part = b[:, number] + a[:, number] * state
        state = part[:, -1:]
        parts.append(part)
    return torch.cat(parts, dim=1)[:, :steps]
