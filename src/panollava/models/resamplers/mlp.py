"""Pool neighbouring patches into one token by a small MLP."""

from jaxtyping import Float
from torch import Tensor, nn

from panollava.models.resamplers.blocks import block_grid, block_rows


class MlpResampler(nn.Module):
    """Concatenate ``pool x pool`` patches, normalise, and mix them by a two-layer MLP.

    Tokens keep a grid, so each has one true ray: the centre of its block of patches. Non-square grids are legal.
    """

    def __init__(self, *, width: int, pool: int = 2, hidden: int | None = None) -> None:
        super().__init__()
        self.pool = pool
        self.out_width = hidden or width
        self.norm = nn.LayerNorm(pool * pool * width)
        self.mix = nn.Sequential(
            nn.Linear(pool * pool * width, 2 * self.out_width),
            nn.GELU(),
            nn.Linear(2 * self.out_width, self.out_width),
        )

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return one token per block of patches, row-major."""
        tokens: Tensor = self.mix(self.norm(block_rows(patches, pool=self.pool)))
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
