"""Overlap consistency: where two views see the same ray, their features should agree.

::

    view a: a token with ray d      view b: the place of d in b's grid, between four tokens
    x_a  <---------------------->   bilinear(x_b; column, row)        only where d is inside b

The correspondence is that of the rays (``geometry.overlap``), closed over the seam, never that of column indices; the
global view takes no part in the ring.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from panollava.geometry import ViewLayout, token_correspondences


@dataclass(frozen=True, slots=True)
class OverlapIndex:
    """For every visible pair: flat index of the token in view a, and four neighbours in view b with weights.

    Indices count tokens over all views of one group, view by view, row-major.
    """

    source: Int[Tensor, " n"]
    neighbours: Int[Tensor, "n 4"]
    weights: Float[Tensor, "n 4"]

    def gather(self, features: Float[Tensor, "b t d"]) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        """Return the features of both sides of every pair, over all panoramas of a batch (m = b n)."""
        a = features[:, self.source]
        b = (features[:, self.neighbours] * self.weights[..., None].to(features)).sum(dim=2)
        return a.flatten(0, 1), b.flatten(0, 1)


def overlap_index(layout: ViewLayout, *, indices: tuple[int, ...], rows: int, cols: int) -> OverlapIndex:
    """Build the index for the views ``indices`` of a layout, whose tokens lie on ``rows x cols`` grids.

    Raises:
        ValueError: If no two of these views overlap.
    """
    place = {view: number for number, view in enumerate(indices)}
    pairs = [(a, b) for a, b in layout.overlap_pairs() if a in place and b in place]
    if not pairs:
        raise ValueError(
            f"no two views of layout '{layout.name}' overlap, so the overlap objective has nothing to compare; "
            "use views.kind: e2p with views.overlap > 0, or drop the stage"
        )
    source, neighbours, weights = [], [], []
    for a, b in [*pairs, *[(b, a) for a, b in pairs]]:
        xy, visible = token_correspondences(layout.views[a], layout.views[b], rows=rows, cols=cols)
        tokens = np.flatnonzero(visible)
        corner, weight = _bilinear(xy[tokens], rows=rows, cols=cols)
        source.append(place[a] * rows * cols + tokens)
        neighbours.append(place[b] * rows * cols + corner)
        weights.append(weight)
    return OverlapIndex(
        torch.from_numpy(np.concatenate(source)),
        torch.from_numpy(np.concatenate(neighbours)),
        torch.from_numpy(np.concatenate(weights)).float(),
    )


def _bilinear(
    xy: Float[np.ndarray, "n 2"], *, rows: int, cols: int
) -> tuple[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """Return the four tokens around fractional (column, row) places, clamped to the grid, and their weights."""
    x, y = np.clip(xy[:, 0], 0, cols - 1), np.clip(xy[:, 1], 0, rows - 1)
    x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, cols - 1), np.minimum(y0 + 1, rows - 1)
    fx, fy = x - x0, y - y0
    corners = np.stack([y0 * cols + x0, y0 * cols + x1, y1 * cols + x0, y1 * cols + x1], axis=1)
    weights = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=1)
    return corners, weights
