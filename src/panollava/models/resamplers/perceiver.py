"""Learned queries that read a view by cross-attention, after Flamingo's resampler (Alayrac et al. 2022, app. A)."""

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from panollava.errors import ModelError


class PerceiverResampler(nn.Module):
    """``queries`` learned latents attend, in ``depth`` blocks, to the patches and to each other.

    Its tokens have no place of their own in the view; each is given the ray of the view's centre.
    """

    def __init__(self, *, width: int, queries: int = 16, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise ModelError(f"resampler.heads={heads} does not divide the encoder's width {width}")
        self.out_width = width
        self.latents = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q d"]:
        """Return the latents of each view after reading its patches."""
        seen = rearrange(patches, "n r c d -> n (r c) d")
        latents: Tensor = repeat(self.latents, "q d -> n q d", n=len(patches))
        for block in self.blocks:
            latents = block(latents, seen)
        read: Tensor = self.norm(latents)
        return read

    def grid(self, rows: int, cols: int) -> None:  # noqa: ARG002
        """Return None: a latent belongs to no place of the view."""
        return

    def token_count(self, rows: int, cols: int) -> int:  # noqa: ARG002
        """Return the number of latents."""
        return len(self.latents)


class _Block(nn.Module):
    """Cross-attention of latents to patches and latents, then a feed-forward layer; both residual, pre-norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_latents, self.norm_patches = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, latents: Float[Tensor, "n q d"], patches: Float[Tensor, "n p d"]) -> Float[Tensor, "n q d"]:
        x = self.norm_latents(latents)
        source = torch.cat([self.norm_patches(patches), x], dim=1)
        key, value = self.key_value(source).chunk(2, dim=-1)
        q, k, v = (rearrange(t, "n t (h e) -> n h t e", h=self.heads) for t in (self.query(x), key, value))
        read = rearrange(F.scaled_dot_product_attention(q, k, v), "n h t e -> n t (h e)")
        latents = latents + self.out(read)
        fed: Tensor = latents + self.feed(latents)
        return fed
