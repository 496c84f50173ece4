"""Where the vision tokens of a panorama are: their rays, and their cells in the grids of their views."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from panollava.geometry import ViewLayout
from panollava.models.resamplers import Resampler


@dataclass(frozen=True, slots=True)
class TokenPlaces:
    """The places of ``n`` vision tokens, in the order in which the language model reads them.

    Attributes:
        rays: True unit ray (x right, y down, z forward).
        view: Index of the token's view in the layout.
        row, col: Cell in the grid of the view.
        rows, cols: Size of that grid; 1 x 1 where tokens have no place of their own.
    """

    rays: Float[Tensor, "n 3"]
    view: Int[Tensor, " n"]
    row: Int[Tensor, " n"]
    col: Int[Tensor, " n"]
    rows: Int[Tensor, " n"]
    cols: Int[Tensor, " n"]


def token_places(layout: ViewLayout, *, patch_grids: Sequence[tuple[int, int]], resampler: Resampler) -> TokenPlaces:
    """Return the places of a panorama's vision tokens.

    Args:
        layout: The views.
        patch_grids: Rows and columns of patches of each group of views of one size.
        resampler: Says how many tokens a view has, and on which grid. Tokens without a grid get the ray of the
            view's centre.

    Raises:
        ModelError: If patches do not suit the resampler.
    """
    rays, cells = [], []
    for group, (rows, cols) in zip(layout.groups(), patch_grids, strict=True):
        found, count = resampler.grid(rows, cols), resampler.token_count(rows, cols)
        grid = found or (1, 1)
        row, col = (np.resize(axis, count) for axis in np.divmod(np.arange(grid[0] * grid[1]), grid[1]))
        for index in group.indices:
            seen = layout.views[index].rays(*grid).reshape(-1, 3)
            rays.append(np.broadcast_to(seen, (count, 3)))
            cells.append(np.stack([np.full(count, index), row, col, np.full(count, grid[0]), np.full(count, grid[1])]))
    columns = torch.from_numpy(np.concatenate(cells, axis=1)).long()
    return TokenPlaces(torch.from_numpy(np.concatenate(rays)).float(), *columns)
