"""Hide a part of the tokens from the language model while it trains, as a regulariser.

::

    columns 0 1 2 3      random, keep 0.5      columns, keep 0.5
            . . . .          x . . x               . x x .
            . . . .          . x x .               . x x .        x: hidden in this step

A hidden token keeps its place in the sequence and is attended to by nothing: to every other token the step is the one
in which it had been cut out, while the tokens that stay keep their rays and their positions in the language model, and
the text its own. In evaluation nothing is hidden. LLaVA-NeXT's ``masked_drop`` cuts tokens out of the sequence instead.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from panollava.data.order import uniforms
from panollava.errors import ModelError, unknown_name
from panollava.models.resamplers.mlp import MlpResampler

DROPS = ("random", "columns")


class MaskedDropResampler(nn.Module):
    """The tokens of ``MlpResampler``, of which each training step hides some.

    Which ones is a pure function of (``seed``, ``step``): the same on every machine, and exact after a resume that sets
    ``step``. ``draw`` counts the steps.

    Args:
        width, pool, hidden: As of ``MlpResampler``.
        keep: Share of the tokens of a view (``random``) or of its columns (``columns``) that stay; at least one does.
        drop: ``random`` hides single tokens, ``columns`` whole columns: neighbours in yaw, from which a single token
            could be guessed, go together.
        seed: Seed of the draws.

    Raises:
        ModelError: If ``keep`` is not in (0, 1], or ``drop`` is unknown.
    """

    def __init__(
        self,
        *,
        width: int,
        pool: int = 2,
        hidden: int | None = None,
        keep: float = 0.5,
        drop: str = "random",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0.0 < keep <= 1.0:
            raise ModelError(f"resampler.keep is {keep}; it is the share of tokens that stay, above 0 and at most 1")
        if drop not in DROPS:
            raise ModelError(unknown_name("resampler.drop", drop, DROPS))
        self.keep, self.drop, self.seed = keep, drop, seed
        self.step = 0
        self.inner = MlpResampler(width=width, pool=pool, hidden=hidden)
        self.out_width = self.inner.out_width

    def forward(self, patches: Float[Tensor, "n rows cols d"]) -> Float[Tensor, "n q e"]:
        """Return one token per block of patches, row-major: all of them."""
        tokens: Tensor = self.inner(patches)
        return tokens

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """Return the grid of tokens.

        Raises:
            ModelError: If the patches do not divide into blocks.
        """
        return self.inner.grid(rows, cols)

    def token_count(self, rows: int, cols: int) -> int:
        """Return the number of tokens of a view."""
        return self.inner.token_count(rows, cols)

    def draw(self, panoramas: int, *, grids: Sequence[tuple[int, int]]) -> Bool[Tensor, "b n"]:
        """Return which vision tokens of each panorama stay in this step, and count the step.

        Args:
            panoramas: Panoramas in the batch; each has its own draw.
            grids: Token grid (rows, columns) of every view, in the order of the vision tokens.
        """
        width = sum(rows * cols for rows, cols in grids)
        numbers = uniforms(panoramas * width, seed=self.seed, epoch=self.step).reshape(panoramas, width)
        self.step += 1
        parts, start = [], 0
        for rows, cols in grids:
            cells = rows * cols if self.drop == "random" else cols
            stay = _smallest(numbers[:, start : start + cells], count=max(1, round(self.keep * cells)))
            parts.append(stay if self.drop == "random" else np.tile(stay, (1, rows)))
            start += rows * cols
        return torch.from_numpy(np.concatenate(parts, axis=1))


def _smallest(numbers: Float[np.ndarray, "b n"], *, count: int) -> Bool[np.ndarray, "b n"]:
    """Mark the ``count`` smallest numbers of each row."""
    rank = np.argsort(np.argsort(numbers, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(rank < count)
