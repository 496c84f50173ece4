"""PanoRoPE of CORA (wooseungw/panollava and its successor CORA-360, 2026), for comparison.

::

    tokens of tile t, T of them, overlap o; p counts the vision tokens as the language model would
    release cora360     p - round(t o T)             tiles move together, as far as they overlap
    release snapshot    p + round(t (1 - o) T)       the first public code: the other way, tiles move apart

Both are the form for language models with one position axis. Neither closes the ring: the last tile and the first lie
far apart. And since a view is read row by row, a shift of half its tokens lays rows on rows, not columns on columns.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from panollava.errors import ModelError, unknown_name
from panollava.geometry import ViewLayout
from panollava.models.positions.places import TokenPlaces
from panollava.models.positions.sinusoid import ring_overlap

RELEASES = ("cora360", "snapshot")


class PanoRopePosition(nn.Module):
    """Shift the positions that the language model gives to the tokens of each tile; the tokens stay as they are.

    Tiles are the views of the layout's ring, counted along it; other views, the global one among them, and the text are
    not shifted. Training and generation shift alike (the first public code shifted in training only).

    Args:
        layout: The views.
        places: The places of the tokens.
        release: Whose formula: ``cora360`` or ``snapshot``.

    Raises:
        ModelError: If the layout has no ring, or the release is unknown.
    """

    before_projector = False
    shifts: Int[Tensor, " n"]

    def __init__(self, *, layout: ViewLayout, places: TokenPlaces, release: str = "cora360") -> None:
        super().__init__()
        if release not in RELEASES:
            raise ModelError(unknown_name("position.release", release, RELEASES))
        if not layout.ring_indices:
            raise ModelError(
                f"position.kind: panorope counts the tiles of a ring, and layout '{layout.name}' has none; "
                "use views.kind: e2p, or position.kind: ray"
            )
        overlap, shifts = ring_overlap(layout), torch.zeros_like(places.view)
        for tile, index in enumerate(layout.ring_indices):
            mine = places.view == index
            count = int(mine.sum())
            if release == "cora360":
                shifts[mine] = -round(tile * overlap * count)
            else:
                shifts[mine] = round(tile * (1.0 - overlap) * count)
        self.register_buffer("shifts", shifts, persistent=False)

    def forward(self, tokens: Float[Tensor, "b n d"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "b n d"]:  # noqa: ARG002
        """Return the tokens."""
        return tokens
