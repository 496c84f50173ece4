"""Attention over packed panoramas: prefixes read once, branches isolated, no place of padding computed.

::

    a batch of padded rows            the stream that the language model reads (1 row, no padding)
    |P P P P|a a b b b|               |P P P P|P P P P|a a b b b|c c|
    |P P P P|c c . . .|                row 0   row 1   row 0     row 1

    prefixes   attend causally to themselves: one call without a mask, batched over rows
    branches   attend to the prefix of their row and, causally, to themselves: one call whose mask has one row
               per branch token, or one sequence per branch (varlen), or a block mask (flex)

Everything else in a transformer acts on single tokens, so their order in the stream is free: positions say where a
token stands. Dense attention over a padded row of prefix p and branches r costs (p + r)^2 scores; this costs
p^2 / 2 + r (p + r).
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from panollava.data.pack import PAD_SEGMENT, PackedText
from panollava.models.attention_kernels import flash_varlen, flex, torch_varlen

PACKED = "panollava_packed"
"""Name under which Hugging Face models find this attention."""

Kernel = Callable[["PackedAttention", Tensor, Tensor, Tensor, float | None, int | None], Tensor]


class Packed(Protocol):
    """Attention that knows how the tokens of a call belong together, and needs no mask to be told."""

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float | None, window: int | None, layer: int
    ) -> Float[Tensor, "b n h d"]:
        """Return what every token reads."""
        ...


class PackedAttention:
    """The attention of one batch of packed conversations, shared by all layers.

    Args:
        text: The batch; every row has a prefix of the same length, and branches behind it.
        kernel: ``sdpa``, ``varlen``, ``flash_attention_2``, ``flash_attention_3`` or ``flex_attention``.

    Attributes:
        order: Places (row * t + column) of the stream's tokens: all prefixes, then all branches.
        rows, columns, segments, positions: Of each token of the stream.
        batch: Rows.
        prefix: Tokens of a prefix.
    """

    def __init__(self, text: PackedText, *, kernel: str = "sdpa") -> None:
        kept = text.segments != PAD_SEGMENT
        shared = text.segments == 0
        self.kernel, self.batch = kernel, len(text.segments)
        self.prefix = int(shared[0].sum())
        flat = torch.cat([shared.flatten().nonzero()[:, 0], (kept & ~shared).flatten().nonzero()[:, 0]])
        width = text.segments.shape[1]
        self.order: Int[Tensor, " n"] = flat
        self.rows, self.columns = flat // width, flat % width
        self.segments, self.positions = text.segments.flatten()[flat], text.positions.flatten()[flat]
        self.cached: dict[Any, Any] = {}
        """What a kernel derives from the batch, kept for the next layer."""

    @staticmethod
    def fits(text: PackedText) -> bool:
        """Return whether all prefixes are equally long and stand before their branches, as ``pack`` lays them out."""
        shared = text.segments == 0
        lengths = shared.sum(dim=1)
        first = torch.arange(text.segments.shape[1], device=shared.device) < lengths[:1, None]
        return bool((shared == first).all())

    def __call__(
        self,
        q: Float[Tensor, "1 h n d"],
        k: Float[Tensor, "1 g n d"],
        v: Float[Tensor, "1 g n d"],
        *,
        scale: float | None,
        window: int | None = None,
        layer: int = 0,  # noqa: ARG002 - all layers see alike
    ) -> Float[Tensor, "1 n h d"]:
        """Return what every token of the stream reads; ``g`` key heads serve ``h`` query heads.

        Args:
            q: Queries of the stream.
            k: Keys.
            v: Values.
            scale: Factor of the scores; None for 1 / sqrt(d).
            window: How many positions back a token sees, itself included (sliding attention); None for all.
            layer: Number of the layer that asks.
        """
        return KERNELS[self.kernel](self, q, k, v, scale, window)

    def allowed(self, here: Int[Tensor, " a"], there: Int[Tensor, " b"], window: int | None) -> Bool[Tensor, "a b"]:
        """Return which tokens ``here`` (indices into the stream) may attend to which ``there``: the rule itself."""
        a, b = here[:, None], there[None, :]
        same = self.rows[a] == self.rows[b]
        branch = (self.segments[b] == 0) | (self.segments[b] == self.segments[a])
        open_ = same & branch & (self.columns[b] <= self.columns[a])
        return open_ if window is None else open_ & (self.positions[a] - self.positions[b] < window)


def sdpa(
    self: PackedAttention, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
) -> Float[Tensor, "1 n h d"]:
    """Attend with two calls of PyTorch's SDPA, both batched over rows."""
    b, p = self.batch, self.prefix
    shared = {"scale": scale, "enable_gqa": q.shape[1] != k.shape[1]}
    head = [rearrange(x[:, :, : b * p], "1 h (b p) d -> b h p d", b=b) for x in (q, k, v)]
    parts = []
    if p:
        near = _prefix_window(self, window)
        read = scaled_dot_product_attention(*head, attn_mask=near, is_causal=near is None, **shared)
        parts.append(rearrange(read, "b h p d -> (b p) h d"))
    gather, spread, mask = _branches(self, window)
    tail = [_rows(x[0, :, b * p :], gather) for x in (q, k, v)]
    keys, values = (torch.cat(pair, dim=2) for pair in zip(head[1:], tail[1:], strict=True))
    read = scaled_dot_product_attention(tail[0], keys, values, attn_mask=mask, **shared)
    parts.append(rearrange(read, "b h r d -> (b r) h d")[spread])
    return torch.cat(parts)[None]


def _rows(x: Float[Tensor, "h m d"], gather: Int[Tensor, "b r"]) -> Float[Tensor, "b h r d"]:
    """Lay the branch tokens out in rows of one length; places without a token hold another, which the mask hides."""
    return rearrange(x[:, gather.flatten()], "h (b r) d -> b h r d", b=len(gather))


def _prefix_window(self: PackedAttention, window: int | None) -> Bool[Tensor, "p p"] | None:
    if window is None or self.prefix <= window:
        return None
    key = ("prefix", window)
    if key not in self.cached:
        first = torch.arange(self.prefix, device=self.order.device)
        self.cached[key] = self.allowed(first, first, window)
    mask: Bool[Tensor, "p p"] = self.cached[key]
    return mask


def _branches(
    self: PackedAttention, window: int | None
) -> tuple[Int[Tensor, "b r"], Int[Tensor, " m"], Bool[Tensor, "b 1 r t"]]:
    """Return where each row's branch tokens are in the stream, where they go back to, and what they may read."""
    key = ("branches", window)
    if key not in self.cached:
        start = self.batch * self.prefix
        rows = self.rows[start:]
        counts = torch.bincount(rows, minlength=self.batch)
        widest = int(counts.max())
        slot = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        spread = rows * widest + slot
        gather = torch.zeros(self.batch * widest, dtype=torch.long, device=rows.device)
        gather[spread] = torch.arange(len(rows), device=rows.device)
        real = torch.zeros(self.batch * widest, dtype=torch.bool, device=rows.device)
        real[spread] = True
        gather, real = gather.view(self.batch, widest), real.view(self.batch, widest)
        masks = []
        for row in range(self.batch):
            here = start + gather[row]
            there = torch.cat([row * self.prefix + torch.arange(self.prefix, device=rows.device), here])
            seen = torch.cat([torch.ones(self.prefix, dtype=torch.bool, device=rows.device), real[row]])
            open_ = self.allowed(here, there, window) & seen
            # a place without a token reads itself: an empty softmax is NaN
            open_[~real[row], self.prefix + (~real[row]).nonzero()[:, 0]] = True
            masks.append(open_)
        self.cached[key] = gather, spread, torch.stack(masks)[:, None]
    found: tuple[Tensor, Tensor, Tensor] = self.cached[key]
    return found


KERNELS: dict[str, Kernel] = {
    "sdpa": sdpa,
    "varlen": torch_varlen,
    "flash_attention_2": flash_varlen,
    "flash_attention_3": flash_varlen,
    "flex_attention": flex,
}


def packed_attention(
    module: Any,
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b g n d"],
    value: Float[Tensor, "b g n d"],
    attention_mask: Tensor | None,
    *,
    packed: Packed | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "b n h d"], None]:
    """Attend as Hugging Face's attention interface asks: packed where the call says so, else with its own SDPA."""
    if packed is not None:
        return packed(query, key, value, scale=scaling, window=sliding_window, layer=module.layer_idx), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    read, _ = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, sliding_window=sliding_window, **others
    )
    return read, None


def register() -> None:
    """Make ``attn_implementation="panollava_packed"`` known to Hugging Face models; masks are those of its SDPA."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(PACKED, packed_attention)
    AttentionMaskInterface.register(PACKED, sdpa_mask)
