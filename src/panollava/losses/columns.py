"""Upstream's pairing of two neighbouring views by column numbers, for comparison with pairing by rays.

::

    view v                 view v + 1, closed over the seam
    . . . . R R R R        L L L L . . . .        R paired with L, row by row and column by column:
                                                  k = floor(overlap x columns) columns of each

Columns of a pinhole view are not linear in yaw, and rows not in pitch, so the two tokens of a pair look up to
several token widths apart (``apart_deg`` says how far); where the views do not overlap at all, nothing is paired.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from panollava.geometry import ViewLayout
from panollava.losses.overlap import OverlapIndex, overlapping


def column_index(layout: ViewLayout, *, indices: tuple[int, ...], rows: int, cols: int) -> OverlapIndex:
    """Pair the last k columns of each view of the ring with the first k of the next.

    The share of columns is the overlap as an angle, 1 - stride / hfov, as upstream takes it; at least one column.

    Raises:
        ValueError: If the layout has no ring among ``indices``, or its views do not overlap.
    """
    overlapping(layout, indices=indices)
    ring = layout.ring_indices
    if not ring or not set(ring) <= set(indices):
        raise ValueError(
            f"layout '{layout.name}' has no ring of views, and pairing by columns needs one; "
            "write overlap.pairing: rays, or use views.kind: e2p"
        )
    share = 1.0 - 360.0 / len(ring) / layout.views[ring[0]].hfov_deg
    count = max(1, math.floor(share * cols + 1e-9))
    grid = np.arange(rows * cols).reshape(rows, cols)
    right, left = grid[:, cols - count :].reshape(-1), grid[:, :count].reshape(-1)
    place = {view: number * rows * cols for number, view in enumerate(indices)}
    turns = list(zip(ring, ring[1:] + ring[:1], strict=True))
    first = torch.from_numpy(np.concatenate([place[a] + right for a, _ in turns]))
    second = torch.from_numpy(np.concatenate([place[b] + left for _, b in turns]))
    rays = np.concatenate([layout.views[a].rays(rows, cols).reshape(-1, 3)[right] for a, _ in turns])
    alone = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(len(first), 4)
    return OverlapIndex(
        first, second[:, None].expand(-1, 4), alone, torch.from_numpy(rays).float(), (len(right),) * len(turns)
    )


def apart_deg(index: OverlapIndex, layout: ViewLayout, *, indices: tuple[int, ...], rows: int, cols: int) -> Tensor:
    """Return the angle between the rays of the two sides of every pair: (n,) degrees.

    Example:
        >>> from panollava.geometry import e2p_ring
        >>> ring, grid = e2p_ring(), {"indices": tuple(range(8)), "rows": 16, "cols": 16}
        >>> float(apart_deg(column_index(ring, **grid), ring, **grid).mean().round(decimals=1))
        6.7
    """
    rays: Float[np.ndarray, "t 3"] = np.concatenate([layout.views[i].rays(rows, cols).reshape(-1, 3) for i in indices])
    a, b = index.gather(torch.from_numpy(rays)[None])
    cosine = torch.nn.functional.cosine_similarity(a, b)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1.0, 1.0)))
