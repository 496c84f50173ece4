"""A view read as a sequence by Mamba, forwards and backwards (Vision Mamba: Zhu et al. 2024, algorithm 1)."""

import math

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from panollava.errors import ModelError, unknown_name
from panollava.models.resamplers.blocks import block_grid, block_rows
from panollava.models.resamplers.selective_scan import selective_scan

ORDERS = ("rows", "snake")
CONV = 4
"""Width of the causal convolution before the recurrence, Mamba's own."""


class BiMambaResampler(nn.Module):
    """Blocks of patches as tokens, mixed over the view by ``depth`` bidirectional Mamba layers.

    ::

        rows   0 1 2      snake   0 1 2       a step of the snake is always to a neighbour;
               3 4 5              5 4 3       a step of rows jumps back at each row's end

    Tokens keep a grid, so each has one true ray: the centre of its block. Non-square grids are legal. Runs on any
    device; on a GPU with the package ``mamba_ssm`` the recurrence is its fused kernel.

    Args:
        width: Width of the encoder.
        pool: Patches per token, across and down; 1 keeps every patch.
        hidden: Width of the tokens; None for ``width``.
        depth: Layers.
        state: Numbers in the state of a channel.
        expand: Width inside a layer, as a multiple of ``hidden``.
        order: ``rows`` or ``snake``.

    Raises:
        ModelError: If the order is unknown.
    """

    def __init__(
        self,
        *,
        width: int,
        pool: int = 2,
        hidden: int | None = None,
        depth: int = 2,
        state: int = 16,
        expand: float = 2.0,
        order: str = "snake",
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ModelError(unknown_name("resampler.order", order, ORDERS))
        self.pool, self.order = pool, order
        self.out_width = hidden or width
        self.enter = nn.Sequential(nn.LayerNorm(pool * pool * width), nn.Linear(pool * pool * width, self.out_width))
        self.layers = nn.Sequential(*(BiMambaLayer(self.out_width, state=state, expand=expand) for _ in range(depth)))
        self.norm = nn.LayerNorm(self.out_width)

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return one token per block of patches, row-major."""
        tokens = self.enter(block_rows(patches, pool=self.pool))
        if self.order == "snake":
            path = snake(*self.grid(*patches.shape[1:3])).to(tokens.device)
            tokens = self.layers(tokens[:, path])[:, path]
        else:
            tokens = self.layers(tokens)
        normed: Tensor = self.norm(tokens)
        return normed

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


def snake(rows: int, cols: int) -> Int[Tensor, " n"]:
    """Return the path that turns back at the end of each row (boustrophedon); it is its own inverse.

    Example:
        >>> snake(2, 3).tolist()
        [0, 1, 2, 5, 4, 3]
    """
    path = torch.arange(rows * cols).reshape(rows, cols)
    path[1::2] = path[1::2].flip(1)
    return path.flatten()


class BiMambaLayer(nn.Module):
    """Two selective scans of one sequence, one from each end, averaged, gated and added to it; pre-norm."""

    def __init__(self, width: int, *, state: int, expand: float) -> None:
        super().__init__()
        inner = round(expand * width)
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.ahead = MambaScan(inner, state=state, rank=math.ceil(width / 16))
        self.back = MambaScan(inner, state=state, rank=math.ceil(width / 16))
        self.leave = nn.Linear(inner, width, bias=False)

    def forward(self, tokens: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Return the tokens after one layer."""
        x, gate = self.enter(self.norm(tokens)).chunk(2, dim=-1)
        seen = (self.ahead(x) + self.back(x.flip(1)).flip(1)) / 2
        mixed: Tensor = tokens + self.leave(seen * F.silu(gate))
        return mixed


class MambaScan(nn.Module):
    """The part of Mamba that has a direction: causal convolution, input-dependent step, B and C, and the recurrence.

    Initialised as in Mamba (section 3.6 and its code): A = -1, ..., -s in every channel; steps that are log-uniform in
    [0.001, 0.1].
    """

    def __init__(self, width: int, *, state: int, rank: int) -> None:
        super().__init__()
        self.rank, self.state = rank, state
        self.conv = nn.Conv1d(width, width, kernel_size=CONV, padding=CONV - 1, groups=width)
        self.select = nn.Linear(width, rank + 2 * state, bias=False)
        self.step = nn.Linear(rank, width)
        self.A_log = nn.Parameter(torch.arange(1, state + 1).float().log().expand(width, -1).clone())
        self.D = nn.Parameter(torch.ones(width))
        nn.init.uniform_(self.step.weight, -(rank**-0.5), rank**-0.5)
        size = torch.exp(torch.rand(width) * math.log(100.0) + math.log(0.001))
        with torch.no_grad():
            self.step.bias.copy_(size + torch.log(-torch.expm1(-size)))  # so that softplus(bias) = size

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Return y of each step; it depends on this step and the ones before it."""
        convolved = self.conv(rearrange(x, "n t d -> n d t"))[..., : x.shape[1]]
        x = F.silu(rearrange(convolved, "n d t -> n t d"))
        step, b, c = self.select(x).split([self.rank, self.state, self.state], dim=-1)
        return selective_scan(x, F.softplus(self.step(step)), A=-self.A_log.exp(), B=b, C=c, D=self.D)
