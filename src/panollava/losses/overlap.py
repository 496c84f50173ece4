"""Overlap consistency: where two views see the same ray, their features should agree.

::

    view a: a token with ray d      view b: the place of d in b's grid, between four tokens
    x_a  <---------------------->   bilinear(x_b; column, row)        only where d is inside b

The correspondence is that of the rays (``geometry.overlap``), closed over the seam; the global view takes no part in
the ring. A token whose ray the other view does not see is in no pair: it has no part in the loss and gets no gradient.
Pairing by column numbers, as upstream does it, is in ``losses.columns`` for comparison.
"""

from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from panollava.geometry import ViewLayout, token_correspondences


@dataclass(frozen=True, slots=True)
class OverlapIndex:
    """For every visible pair: flat index of the token in view a, and four neighbours in view b with weights.

    Indices count tokens over all views of one group, view by view, row-major.

    Attributes:
        source: Token of view a.
        neighbours: Tokens of view b around the place where b sees a's ray.
        weights: Their bilinear weights.
        rays: Unit ray of the token of view a.
        sizes: Number of pairs of each (view a, view b); pairs of one (a, b) stand together.
    """

    source: Int[Tensor, " n"]
    neighbours: Int[Tensor, "n 4"]
    weights: Float[Tensor, "n 4"]
    rays: Float[Tensor, "n 3"]
    sizes: tuple[int, ...]

    def gather(self, features: Float[Tensor, "b t d"]) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        """Return the features of both sides of every pair, over all panoramas of a batch (m = b n)."""
        a = features[:, self.source]
        b = (features[:, self.neighbours] * self.weights[..., None].to(features)).sum(dim=2)
        return a.flatten(0, 1), b.flatten(0, 1)

    def by_views(self, pairs: Float[Tensor, "m d"]) -> tuple[Float[Tensor, "b _ d"], ...]:
        """Return one side of gathered pairs cut by (view a, view b), panoramas first."""
        return rearrange(pairs, "(b n) d -> b n d", n=len(self.source)).split(self.sizes, dim=1)

    @property
    def view_pair(self) -> Int[Tensor, " n"]:
        """Number of the (view a, view b) of every pair."""
        return torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes))


def overlap_index(layout: ViewLayout, *, indices: tuple[int, ...], rows: int, cols: int) -> OverlapIndex:
    """Build the index for the views ``indices`` of a layout, whose tokens lie on ``rows x cols`` grids.

    Raises:
        ValueError: If no two of these views overlap.
    """
    place = {view: number for number, view in enumerate(indices)}
    pairs = overlapping(layout, indices=indices)
    source, neighbours, weights, rays = [], [], [], []
    for a, b in [*pairs, *[(b, a) for a, b in pairs]]:
        xy, visible = token_correspondences(layout.views[a], layout.views[b], rows=rows, cols=cols)
        tokens = np.flatnonzero(visible)
        corner, weight = _bilinear(xy[tokens], rows=rows, cols=cols)
        source.append(place[a] * rows * cols + tokens)
        neighbours.append(place[b] * rows * cols + corner)
        weights.append(weight)
        rays.append(layout.views[a].rays(rows, cols).reshape(-1, 3)[tokens])
    return OverlapIndex(
        torch.from_numpy(np.concatenate(source)),
        torch.from_numpy(np.concatenate(neighbours)),
        torch.from_numpy(np.concatenate(weights)).float(),
        torch.from_numpy(np.concatenate(rays)).float(),
        tuple(len(part) for part in source),
    )


def overlapping(layout: ViewLayout, *, indices: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the pairs of overlapping views among ``indices``.

    Raises:
        ValueError: If there are none.
    """
    pairs = [(a, b) for a, b in layout.overlap_pairs() if a in indices and b in indices]
    if not pairs:
        raise ValueError(
            f"no two views of layout '{layout.name}' overlap, so the overlap objective has nothing to compare; "
            "use views.kind: e2p with views.overlap > 0, or drop the stage"
        )
    return pairs


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
