"""Upstream's pairing by columns: as upstream has it, and how far its pairs look apart."""

import pytest
import torch

from panollava.geometry import build_layout
from panollava.losses.columns import apart_deg, column_index
from panollava.losses.overlap import overlap_index


def ring(**options):
    return build_layout("e2p", **{"hfov_deg": 90, "overlap": 0.5, "size_px": 48, "global_size_px": None, **options})


def grid(layout, side=16):
    return {"indices": layout.groups()[0].indices, "rows": side, "cols": side}


def test_the_last_columns_meet_the_first_of_the_next_view_over_the_seam():
    layout = ring()
    index = column_index(layout, indices=tuple(range(8)), rows=2, cols=4)
    pairs = list(zip(index.source.tolist(), index.neighbours[:, 0].tolist(), strict=True))
    assert pairs[:4] == [(2, 8), (3, 9), (6, 12), (7, 13)]  # view 0, columns 2 and 3, with view 1, columns 0 and 1
    assert pairs[-4:] == [(58, 0), (59, 1), (62, 4), (63, 5)]  # view 7 with view 0
    assert index.sizes == (4,) * 8 and torch.equal(index.weights.sum(dim=1), torch.ones(32))


@pytest.mark.parametrize(("overlap", "columns"), [(0.5, 8), (0.25, 5), (0.01, 3)])
def test_the_share_of_columns_is_the_overlap_of_the_built_ring(overlap, columns):
    """Rings close, so 8, 6 and 5 views overlap by 1/2, 1/3 and 1/5 of 16 columns."""
    layout = ring(overlap=overlap)
    assert column_index(layout, **grid(layout)).sizes == (16 * columns,) * len(layout.ring_indices)


def test_pairs_by_columns_look_apart_and_pairs_by_rays_do_not():
    """Reference: mean 6.65 degrees, max 8.8, at 90 degrees and half overlap on 16 x 16 tokens."""
    layout = ring()
    columns = apart_deg(column_index(layout, **grid(layout)), layout, **grid(layout))
    rays = apart_deg(overlap_index(layout, **grid(layout)), layout, **grid(layout))
    assert float(columns.mean()) == pytest.approx(6.65, abs=0.1)
    assert float(columns.max()) == pytest.approx(8.8, abs=0.2)
    assert float(rays.median()) < 0.2


def test_a_layout_without_a_ring_or_overlap_is_refused():
    tangent = build_layout("tangent", arrangement="icosahedron", count=20, size_px=48, global_size_px=None)
    with pytest.raises(ValueError, match=r"has no ring of views.*overlap.pairing: rays"):
        column_index(tangent, **grid(tangent))
    cube = build_layout("cubemap", size_px=48)
    with pytest.raises(ValueError, match="no two views of layout"):
        column_index(cube, **grid(cube))
