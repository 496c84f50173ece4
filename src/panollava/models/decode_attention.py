"""Attention of many answers that share a few prefixes: the keys of a prefix are kept once, whatever its questions.

::

    keys of panorama 0  |P P P P P|        scores of a word   =   [ word . prefix keys | word . own keys ]
    keys of row 0a                 |q q q a|          one matrix product for all rows of a panorama   one per row
    keys of row 0b                 |. q q a|

A copy of the prefix for every row, as a plain key-value cache has it, is copied again with every word; here nothing
but the own keys of a row grows, in room that is taken once.
"""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class PrefixReader:
    """Reads prefixes, all of one length, and keeps what every layer made of them.

    Args:
        places: Positions of their tokens, of which a sliding window is measured.

    Attributes:
        kept: Keys and values ``p g n d`` by layer.
    """

    def __init__(self, places: Int[Tensor, " n"]) -> None:
        self.places = places
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, scale: float | None, window: int | None, layer: int
    ) -> Float[Tensor, "p n h d"]:
        """Attend causally, and keep keys and values."""
        self.kept[layer] = (k, v)
        near = None
        if window is not None and q.shape[2] > window:
            apart = self.places[:, None] - self.places[None, :]
            near = (apart < window).tril()
        read = scaled_dot_product_attention(
            q, k, v, attn_mask=near, is_causal=near is None, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        return read.transpose(1, 2)


class BranchReader:
    """Reads the questions and answers of a batch behind their prefixes, some tokens of every row at a time.

    Args:
        prefixes: What the layers made of the prefixes.
        owners: For each row, the prefix that it stands behind.
        room: Tokens that a row will have at most.
    """

    def __init__(self, prefixes: PrefixReader, owners: list[int], *, room: int) -> None:
        self.prefixes, self.room = prefixes, room
        groups = {p: [row for row, owner in enumerate(owners) if owner == p] for p in dict.fromkeys(owners)}
        self.groups = [(p, rows if len(groups) > 1 else None) for p, rows in groups.items()]
        self.own: dict[int, tuple[Tensor, Tensor]] = {}
        self.positions: Int[Tensor, "b t"] | None = None
        self.real: Bool[Tensor, "b t"] | None = None
        self.new = 0

    def advance(self, positions: Int[Tensor, "b s"], real: Bool[Tensor, "b s"]) -> None:
        """Announce the tokens that the layers are about to read: their positions, and which are no padding."""
        self.new = positions.shape[1]
        held = [] if self.positions is None or self.real is None else [(self.positions, self.real)]
        self.positions, self.real = (torch.cat(pair, dim=1) for pair in zip(*held, (positions, real), strict=True))

    def __call__(
        self,
        q: Float[Tensor, "b h s d"],
        k: Float[Tensor, "b g s d"],
        v: Float[Tensor, "b g s d"],
        *,
        scale: float | None,
        window: int | None,
        layer: int,
    ) -> Float[Tensor, "b s h d"]:
        """Attend to the prefix and to the row's own tokens so far."""
        keys, values = self._extended(layer, k, v)
        grouped = rearrange(q, "b (g r) s d -> b g (r s) d", g=k.shape[1]) * (scale or q.shape[-1] ** -0.5)
        own = grouped @ keys.transpose(-1, -2)
        near, far = self._masks(window)
        repeat = q.shape[1] // k.shape[1]
        own = own.masked_fill(~near.repeat(1, 1, repeat, 1), torch.finfo(own.dtype).min)
        out = torch.empty_like(grouped)
        for prefix, rows in self.groups:
            pick = slice(None) if rows is None else rows
            seen = None if far is None else far[pick].repeat(1, 1, repeat, 1)
            out[pick] = self._joint(layer, prefix, grouped[pick], own[pick], values[pick], seen)
        return rearrange(out, "b g (r s) d -> b s (g r) d", s=q.shape[2])

    def _joint(
        self, layer: int, prefix: int, q: Tensor, own: Tensor, values: Tensor, seen: Tensor | None
    ) -> Float[Tensor, "m g n d"]:
        """Return the softmax over a prefix and own tokens, for all rows of the prefix in one matrix product."""
        held_k, held_v = (x[prefix] for x in self.prefixes.kept[layer])
        rows, length = len(q), held_k.shape[1]
        flat = rearrange(q, "m g n d -> g (m n) d")
        shared = rearrange(flat @ held_k.transpose(-1, -2), "g (m n) p -> m g n p", m=rows)
        if seen is not None:
            shared = shared.masked_fill(~seen, torch.finfo(shared.dtype).min)
        weights = torch.cat([shared, own], dim=-1).softmax(dim=-1, dtype=torch.float32).to(values.dtype)
        from_prefix = rearrange(weights[..., :length], "m g n p -> g (m n) p") @ held_v
        read: Tensor = rearrange(from_prefix, "g (m n) d -> m g n d", m=rows) + weights[..., length:] @ values
        return read

    def _extended(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values behind the row's own; return all of them."""
        assert self.positions is not None
        end = self.positions.shape[1]
        if layer not in self.own:
            shape = (*k.shape[:2], self.room, k.shape[-1])
            self.own[layer] = k.new_empty(shape), v.new_empty(shape)
        for room, new in zip(self.own[layer], (k, v), strict=True):
            room[:, :, end - self.new : end] = new
        keys, values = self.own[layer]
        return keys[:, :, :end], values[:, :, :end]

    def _masks(self, window: int | None) -> tuple[Bool[Tensor, "b 1 s t"], Bool[Tensor, "b 1 s p"] | None]:
        """Return which own tokens, and which of the prefix (None: all), the new tokens may read."""
        assert self.positions is not None and self.real is not None
        end = self.positions.shape[1]
        place = torch.arange(end, device=self.positions.device)
        new = place[end - self.new :, None]
        # a place of padding reads itself: an empty softmax is NaN
        near = (place <= new) & (self.real[:, None, :] | (place == new))
        if window is None:
            return near[:, None], None
        here = self.positions[:, end - self.new :, None]
        near &= here - self.positions[:, None, :] < window
        far = here - self.prefixes.places < window
        return near[:, None], far[:, None]


def read_prefixes(
    model: Any, prefixes: Float[Tensor, "p n d"], places: Int[Tensor, " n"] | None = None
) -> PrefixReader:
    """Let a Hugging Face causal LM read prefixes, at positions that count up from 0 or at ``places``."""
    counted = torch.arange(prefixes.shape[1], device=prefixes.device)
    reader = PrefixReader(counted if places is None else places)
    model.base_model(
        inputs_embeds=prefixes,
        attention_mask=prefixes.new_zeros(1, 1, 1, 1),
        position_ids=reader.places[None],
        use_cache=False,
        packed=reader,
    )
    return reader
