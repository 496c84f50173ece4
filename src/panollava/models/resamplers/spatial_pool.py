"""Pool neighbouring patches into one token without mixing their channels, or by one strided convolution."""

from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn

from panollava.errors import ModelError, unknown_name
from panollava.models.resamplers.blocks import block_grid

POOLINGS = ("average", "max", "strided")


class SpatialPoolResampler(nn.Module):
    """One token per ``pool x pool`` block: its mean, its maximum, or a convolution with that kernel and stride.

    The width stays the encoder's. A layer norm follows, so that an average and a maximum arrive at one scale. Tokens
    keep a grid, so each has one true ray: the centre of its block. Non-square grids are legal.

    Raises:
        ModelError: If the pooling is unknown.

    Example:
        >>> import torch
        >>> SpatialPoolResampler(width=8, pool=2, pooling="max")(torch.zeros(1, 4, 8, 8)).shape
        torch.Size([1, 8, 8])
    """

    def __init__(self, *, width: int, pool: int = 2, pooling: str = "average") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ModelError(unknown_name("resampler.pooling", pooling, POOLINGS))
        self.pool, self.pooling, self.out_width = pool, pooling, width
        self.conv = nn.Conv2d(width, width, kernel_size=pool, stride=pool) if pooling == "strided" else None
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q d"]:
        """Return one token per block of patches, row-major."""
        self.grid(*patches.shape[1:3])
        if self.conv is not None:
            convolved = self.conv(rearrange(patches, "n r c d -> n d r c"))
            pooled = rearrange(convolved, "n d r c -> n (r c) d")
        else:
            how = "mean" if self.pooling == "average" else "max"
            pooled = reduce(patches, "n (r a) (c b) d -> n (r c) d", how, a=self.pool, b=self.pool)
        tokens: Tensor = self.norm(pooled)
        return tokens

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """Return the grid of tokens.

        Raises:
            ModelError: If the patches do not divide into blocks.
        """
        return block_grid(rows, cols, pool=self.pool)

    def token_count(self, rows: int, cols: int) -> int:
        """Return the number of tokens of a view."""
        r, c = self.grid(rows, cols)
        return r * c
