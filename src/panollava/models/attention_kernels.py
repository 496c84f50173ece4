"""The attention kernels of a GPU, told to read each prefix once: variable-length flash attention and FlexAttention."""

import importlib.util
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from panollava.errors import ModelError, unknown_name

if TYPE_CHECKING:
    from panollava.models.attention import PackedAttention

HALF = (torch.float16, torch.bfloat16)
CHOICES = ("auto", "eager", "sdpa", "flex_attention", "varlen", "flash_attention_2", "flash_attention_3")
_MODULES = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}


def available(device: str, dtype: torch.dtype) -> dict[str, str]:
    """Return, for every kernel, an empty text where it can run, or why it cannot.

    Args:
        device: Type of the device: ``cpu``, ``cuda``, ...
        dtype: Data type of queries, keys and values.

    Example:
        >>> reasons = available("cpu", torch.float32)
        >>> reasons["sdpa"], reasons["varlen"]
        ('', 'needs a CUDA device')
    """
    gpu = "" if device == "cuda" else "needs a CUDA device"
    half = "" if dtype in HALF else f"needs float16 or bfloat16, not {str(dtype).removeprefix('torch.')}"
    native = "" if importlib.util.find_spec("torch.nn.attention.varlen") else "needs torch 2.10 or newer"
    found = {"eager": "", "sdpa": "", "flex_attention": gpu, "varlen": gpu or half or native}
    for name, module in _MODULES.items():
        installed = "" if importlib.util.find_spec(module) else f"needs the package {module}"
        found[name] = gpu or half or installed
    return found


def choose_kernel(wanted: str, *, device: str, dtype: torch.dtype) -> str:
    """Return the attention kernel for a device: what was asked for, or the fastest that can run.

    ``auto`` takes flash-attn 3, flash-attn 2, torch's own variable-length flash kernel, or SDPA, in this order.

    Raises:
        ModelError: If the kernel is unknown, or asked for by name where it cannot run.

    Example:
        >>> choose_kernel("auto", device="cpu", dtype=torch.bfloat16)
        'sdpa'
    """
    if wanted not in CHOICES:
        raise ModelError(unknown_name("attention", wanted, CHOICES))
    reasons = available(device, dtype)
    if wanted == "auto":
        return next(k for k in ("flash_attention_3", "flash_attention_2", "varlen", "sdpa") if not reasons[k])
    if reasons[wanted]:
        able = ", ".join(name for name, reason in reasons.items() if not reason)
        raise ModelError(
            f"language.attention is {wanted}, which {reasons[wanted]}. Able here: {able}; or write auto, which chooses"
        )
    return wanted


def sequences(packed: "PackedAttention") -> tuple[Int[Tensor, " k"], Int[Tensor, " s"], Int[Tensor, " s"], int, int]:
    """Return a batch as sequences for a variable-length kernel: one per prefix, one per branch.

    The keys of a branch are its prefix's and its own, so with a mask aligned at the last key (bottom right) a query
    reads all of the prefix and what stands before it in its branch.

    Returns:
        Indices into the stream of all keys; ends of the queries and of the keys of each sequence, a 0 before them;
        the longest of either.
    """
    if "sequences" not in packed.cached:
        device, b, p = packed.order.device, packed.batch, packed.prefix
        tail = torch.arange(b * p, len(packed.order), device=device)
        owner = torch.stack([packed.rows[tail], packed.segments[tail]], dim=1)
        branches, lengths = torch.unique_consecutive(owner, dim=0, return_counts=True)
        prefixes = torch.arange(b * p, device=device).view(b, p)
        keys = [prefixes.flatten()]
        for (row, _), own in zip(branches.tolist(), tail.split(lengths.tolist()), strict=True):
            keys += [prefixes[row], own]
        queries = torch.cat([lengths.new_full((b if p else 0,), p), lengths])
        seen = torch.cat([lengths.new_full((b if p else 0,), p), lengths + p])
        ends = [torch.nn.functional.pad(n.cumsum(0), (1, 0)).to(torch.int32) for n in (queries, seen)]
        packed.cached["sequences"] = torch.cat(keys), *ends, int(queries.max()), int(seen.max())
    found: tuple[Tensor, Tensor, Tensor, int, int] = packed.cached["sequences"]
    return found


def _streams(packed: "PackedAttention", q: Tensor, k: Tensor, v: Tensor) -> tuple[Any, ...]:
    keys, ends_q, ends_k, longest_q, longest_k = sequences(packed)
    half = v.dtype if v.dtype in HALF else torch.bfloat16  # rotary positions may have raised queries and keys
    q, k, v = (x[0].transpose(0, 1).to(half) for x in (q, k, v))
    return q, k[keys], v[keys], ends_q, ends_k, longest_q, longest_k


def torch_varlen(
    self: "PackedAttention", q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
) -> Float[Tensor, "1 n h d"]:
    """Attend with ``torch.nn.attention.varlen``: the flash kernel that comes with torch."""
    from torch.nn.attention.varlen import varlen_attn

    back = -1 if window is None else window - 1
    gqa = q.shape[1] != k.shape[1]
    read = varlen_attn(*_streams(self, q, k, v), scale=scale, window_size=(back, 0), enable_gqa=gqa)
    assert isinstance(read, Tensor)
    return read[None].to(v.dtype)


def flash_varlen(
    self: "PackedAttention", q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
) -> Float[Tensor, "1 n h d"]:
    """Attend with the variable-length function of an installed flash-attn, version 2 or 3."""
    flash = importlib.import_module(_MODULES[self.kernel])
    back = -1 if window is None else window - 1
    read = flash.flash_attn_varlen_func(
        *_streams(self, q, k, v), softmax_scale=scale, causal=True, window_size=(back, 0 if back >= 0 else -1)
    )
    read = read[0] if isinstance(read, tuple) else read  # version 3 may return the log-sum-exp beside it
    out: Tensor = read[None].to(v.dtype)
    return out


def flex(
    self: "PackedAttention", q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
) -> Float[Tensor, "1 n h d"]:
    """Attend with FlexAttention over a block mask of the rule."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    key = ("flex", window)
    if key not in self.cached:
        n = len(self.order)
        self.cached[key] = create_block_mask(mask_rule(self, window), None, None, n, n, device=str(q.device))
    if "compiled" not in self.cached:
        self.cached["compiled"] = _compiled() if q.device.type == "cuda" else flex_attention
    gqa = q.shape[1] != k.shape[1]
    read = self.cached["compiled"](q, k, v, block_mask=self.cached[key], scale=scale, enable_gqa=gqa)
    out: Tensor = read.transpose(1, 2)
    return out


def mask_rule(packed: "PackedAttention", window: int | None) -> Any:
    """Return the rule of ``PackedAttention.allowed`` as FlexAttention asks it: of single tokens."""
    rows, columns, segments, positions = packed.rows, packed.columns, packed.segments, packed.positions

    def rule(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:  # noqa: ARG001
        branch = (segments[j] == 0) | (segments[j] == segments[i])
        open_ = (rows[i] == rows[j]) & branch & (columns[j] <= columns[i])
        return open_ if window is None else open_ & (positions[i] - positions[j] < window)

    return rule


def _compiled() -> Any:
    """Return the compiled FlexAttention, compiled once in a process."""
    if not _COMPILED:
        from torch.nn.attention.flex_attention import flex_attention

        _COMPILED.append(torch.compile(flex_attention, dynamic=True))
    return _COMPILED[0]


_COMPILED: list[Any] = []
