"""Encodings of a token's cell in the grid of its view, added to the resampler's tokens. They know no ray.

``SinusoidPosition`` is the usual one of vision transformers; ``SeedPosition`` the one of the project that this one
grew from, kept for comparison. Neither closes the seam; docs/positions.md says what each can and cannot tell.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from panollava.errors import ModelError
from panollava.geometry import ViewLayout
from panollava.models.positions.places import TokenPlaces

TEMPERATURE = 10_000.0


def sinusoid(positions: Float[Tensor, " n"], *, width: int) -> Float[Tensor, "n d"]:
    """Return sines, then cosines, of ``positions * T**(-2 i / width)`` (Vaswani et al. 2017, section 3.5).

    Example:
        >>> sinusoid(torch.tensor([0.0]), width=4).tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """
    half = width // 2
    rates = torch.exp(-math.log(TEMPERATURE) * 2 * torch.arange(half, dtype=positions.dtype) / width)
    angles = positions[:, None] * rates
    return nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, width - 2 * half))


class SinusoidPosition(nn.Module):
    """Half of the channels encode the row, half the column of the token in its view (He et al. 2022, appendix A.1).

    Views of any shape; the same cell of two views has the same encoding, so it tells no view from another.

    Raises:
        ModelError: If four does not divide the width.
    """

    before_projector = True
    shifts = None
    table: Float[Tensor, "n e"]

    def __init__(self, *, width: int, places: TokenPlaces) -> None:
        super().__init__()
        if width % 4:
            raise ModelError(
                f"position.kind: sinusoid needs a width of tokens that 4 divides, and the resampler's is {width}; "
                "choose resampler.hidden so, or position.kind: ray"
            )
        table = [sinusoid(cell.float(), width=width // 2) for cell in (places.row, places.col)]
        self.register_buffer("table", torch.cat(table, dim=-1), persistent=False)

    def forward(self, tokens: Float[Tensor, "b n e"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n e"]:  # noqa: ARG002
        """Return the tokens plus the encoding of their cells."""
        return tokens + self.table


class SeedPosition(nn.Module):
    """The panoramic encoding of wooseungw/panollava (first public version), as its code computes it.

    ::

        view v of V, column x of X, row r, overlap o of neighbouring views
        g = v (1 - o) + x / X                  where the column lies in the row of views
        encoding = S(2 pi g / (V - (V - 1) o)) + S(r) + S(g)         S: ``sinusoid`` over all channels

    Columns of neighbouring views that lie on each other in the row have one encoding. But g counts columns, not angles
    (they differ in a perspective view), S has one period of 2 pi and many others, and V - (V - 1) o is the length of an
    open row: the last view does not lie on the first. So the seam stays open. The views count in the layout's order,
    the global one among them; the overlap is that of the layout's ring, 0 without one.
    """

    before_projector = True
    shifts = None
    table: Float[Tensor, "n e"]

    def __init__(self, *, width: int, layout: ViewLayout, places: TokenPlaces) -> None:
        super().__init__()
        overlap, count = ring_overlap(layout), len(layout.views)
        along = places.view * (1.0 - overlap) + places.col / places.cols
        around = 2.0 * math.pi * along / (count - (count - 1) * overlap)
        table = sum(sinusoid(x.float(), width=width) for x in (around, places.row, along))
        self.register_buffer("table", table, persistent=False)

    def forward(self, tokens: Float[Tensor, "b n e"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n e"]:  # noqa: ARG002
        """Return the tokens plus the encoding of their columns and rows."""
        return tokens + self.table


def ring_overlap(layout: ViewLayout) -> float:
    """Return the overlap of the views of a layout's ring as an angle, ``1 - stride / hfov``; 0 without a ring.

    Example:
        >>> from panollava.geometry import e2p_ring
        >>> ring_overlap(e2p_ring(hfov_deg=90, overlap=0.5))
        0.5
    """
    ring = layout.ring_indices
    return max(0.0, 1.0 - 360.0 / len(ring) / layout.views[ring[0]].hfov_deg) if ring else 0.0
