"""Encodings of a cell: the transformer's, and the one this project grew from, against their formulas."""

import math

import pytest
import torch

from panollava.errors import ModelError
from panollava.geometry import build_layout
from panollava.models.positions import SeedPosition, SinusoidPosition, token_places
from panollava.models.positions.sinusoid import ring_overlap, sinusoid
from panollava.models.resamplers import MlpResampler, PerceiverResampler


def ring(**changes):
    options = {"hfov_deg": 90.0, "overlap": 0.5, "pitch_deg": 0.0, "size_px": 32, "global_size_px": (32, 64)}
    return build_layout("e2p", **{**options, **changes})


def cells(layout, *grids):
    return token_places(layout, patch_grids=grids, resampler=MlpResampler(width=8, pool=1))


def test_a_sinusoid_by_hand():
    got = sinusoid(torch.tensor([2.0, 0.5]), width=6)
    for row, position in zip(got, (2.0, 0.5), strict=True):
        angles = [position * 10_000.0 ** (-2 * i / 6) for i in range(3)]
        wanted = [*(math.sin(a) for a in angles), *(math.cos(a) for a in angles)]
        torch.testing.assert_close(row, torch.tensor(wanted))


def test_a_cell_is_a_row_and_a_column():
    places = cells(ring(), (2, 3), (2, 6))
    added = SinusoidPosition(width=16, places=places)(torch.zeros(1, len(places.rays), 16), places.rays)[0]
    assert len(added) == 8 * 6 + 12
    last = added[48:].reshape(2, 6, 16)  # the global view, of another shape
    assert torch.equal(last[0, :, :8], last[0, :1, :8].expand(6, 8))  # a row's half
    assert torch.equal(last[0, :, 8:], last[1, :, 8:])  # a column's half
    assert (torch.cdist(last.flatten(0, 1), last.flatten(0, 1)) + torch.eye(12)).min() > 0.05
    assert torch.equal(added[:6], added[6:12])  # one view is like another


def test_widths_that_do_not_suit_are_refused():
    with pytest.raises(ModelError, match="needs a width of tokens that 4 divides, and the resampler's is 18"):
        SinusoidPosition(width=18, places=cells(ring(), (2, 2), (2, 4)))


@pytest.mark.parametrize("overlap", [0.5, 0.25])
def test_the_seeds_encoding_is_its_formula(overlap):
    layout = ring(overlap=overlap)
    places = cells(layout, (2, 3), (2, 6))
    views, width, overlap = len(layout.views), 10, ring_overlap(layout)
    added = SeedPosition(width=width, layout=layout, places=places)(
        torch.zeros(1, len(places.rays), width), places.rays
    )

    def s(position):
        angles = [position * 10_000.0 ** (-2 * i / width) for i in range(width // 2)]
        return torch.tensor([*(math.sin(a) for a in angles), *(math.cos(a) for a in angles)])

    for n in (0, 5, 6 * 3 + 4, len(places.rays) - 1):
        view, row, col, cols = (int(v[n]) for v in (places.view, places.row, places.col, places.cols))
        g = view * (1 - overlap) + col / cols
        length = views - (views - 1) * overlap
        torch.testing.assert_close(added[0, n], s(2 * math.pi * g / length) + s(row) + s(g), atol=1e-5, rtol=0)


def test_the_overlap_is_the_rings():
    assert ring_overlap(ring(overlap=0.25)) == pytest.approx(1 - 60 / 90)  # six views: no overlap of 0.25 closes
    assert ring_overlap(build_layout("resize", size_px=(32, 64))) == 0.0


def test_tokens_without_a_place_share_the_centre_of_their_view():
    layout = ring()
    places = token_places(layout, patch_grids=[(4, 4), (4, 8)], resampler=PerceiverResampler(width=8, queries=3))
    assert len(places.rays) == 9 * 3
    assert places.view.tolist() == [v for v in range(9) for _ in range(3)]
    assert set(places.row.tolist()) == {0} and set(places.cols.tolist()) == {1}
    torch.testing.assert_close(
        places.rays[3:6], torch.from_numpy(layout.views[1].rays(1, 1)).float().expand(1, 3, 3)[0]
    )
