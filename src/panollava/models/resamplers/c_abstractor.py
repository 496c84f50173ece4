"""Convolve, pool, convolve: the C-Abstractor of Honeybee (Cha et al. 2024, section 3.2 and figure 3)."""

import math

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class CAbstractorResampler(nn.Module):
    """``depth`` residual blocks, adaptive average pooling, ``depth`` residual blocks; locality is kept.

    ::

        patches r x c --> blocks --> mean over cells of ceil(r / pool) x ceil(c / pool) --> blocks --> tokens

    A block is RegNet's bottleneck (1 x 1, grouped 3 x 3, squeeze and excitation, 1 x 1) with layer norms and SiLU, as
    in the paper's code. The learned absolute positions of the paper are left out: they exist for one grid only, and
    the encoder's features know their place.

    Any grid is legal, also one that ``pool`` does not divide: cells then overlap by a patch, and the mean ray of a cell
    is less than half a patch from the ray that its token is given, the centre of an even grid.

    Args:
        width: Width of the encoder.
        pool: Patches per token, across and down.
        hidden: Width of the blocks and of the tokens; None for ``width``.
        depth: Blocks before, and blocks after the pooling.
    """

    def __init__(self, *, width: int, pool: int = 2, hidden: int | None = None, depth: int = 2) -> None:
        super().__init__()
        self.pool = pool
        self.out_width = hidden or width
        self.enter = nn.Conv2d(width, self.out_width, kernel_size=1)
        self.before = nn.Sequential(*(_Bottleneck(self.out_width) for _ in range(depth)))
        self.after = nn.Sequential(*(_Bottleneck(self.out_width) for _ in range(depth)))
        self.norm = nn.LayerNorm(self.out_width)

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return the tokens of each view, row-major."""
        seen = self.before(self.enter(rearrange(patches, "n r c d -> n d r c")))
        pooled = self.after(F.adaptive_avg_pool2d(seen, self.grid(*patches.shape[1:3])))
        tokens: Tensor = self.norm(rearrange(pooled, "n d r c -> n (r c) d"))
        return tokens

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """Return the grid of tokens."""
        return math.ceil(rows / self.pool), math.ceil(cols / self.pool)

    def token_count(self, rows: int, cols: int) -> int:
        """Return the number of tokens of a view."""
        r, c = self.grid(rows, cols)
        return r * c


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place of a picture."""

    def forward(self, x: Float[Tensor, "n d r c"]) -> Float[Tensor, "n d r c"]:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class _Bottleneck(nn.Module):
    """A residual block of RegNet (Radosavovic et al. 2020) with squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        groups, squeezed = width // math.gcd(width, 8), max(1, width // 4)
        self.widen = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), _ChannelNorm(width), nn.SiLU())
        self.look = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=groups, bias=False), _ChannelNorm(width), nn.SiLU()
        )
        self.gate = nn.Sequential(nn.Conv2d(width, squeezed, 1), nn.SiLU(), nn.Conv2d(squeezed, width, 1), nn.Sigmoid())
        self.leave = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), _ChannelNorm(width))

    def forward(self, x: Float[Tensor, "n d r c"]) -> Float[Tensor, "n d r c"]:
        seen = self.look(self.widen(x))
        seen = seen * self.gate(seen.mean(dim=(2, 3), keepdim=True))
        out: Tensor = F.silu(x + self.leave(seen))
        return out
