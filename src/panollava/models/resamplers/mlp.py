"""Pool neighbouring patches into one token by a small MLP."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from panollava.errors import ModelError


class MlpResampler(nn.Module):
    """Concatenate ``pool x pool`` patches, normalise, and mix them by a two-layer MLP.

    ::

        a b c d          (ab   (cd
        e f g h   -->     ef)   gh)      pool = 2: 4 x 2 patches -> 2 x 1 tokens

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
        self.grid(*patches.shape[1:3])
        blocks = rearrange(patches, "n (r a) (c b) d -> n (r c) (a b d)", a=self.pool, b=self.pool)
        tokens: Tensor = self.mix(self.norm(blocks))
        return tokens

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """Return the grid of tokens.

        Raises:
            ModelError: If the patches do not divide into blocks.
        """
        if rows % self.pool or cols % self.pool:
            raise ModelError(
                f"{rows} x {cols} patches do not divide into blocks of {self.pool} x {self.pool}; "
                "choose resampler.pool, or views.size_px, so that they do"
            )
        return rows // self.pool, cols // self.pool

    def token_count(self, rows: int, cols: int) -> int:
        """Return the number of tokens of a view."""
        r, c = self.grid(rows, cols)
        return r * c
