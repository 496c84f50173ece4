"""Overlap pairs: the two sides of every pair look the same way."""

import numpy as np
import pytest
import torch

from panollava.geometry import build_layout
from panollava.losses.overlap import overlap_index

ROWS = COLS = 24


def ring(**options):
    return build_layout("e2p", **{"hfov_deg": 90, "overlap": 0.5, "size_px": 48, "global_size_px": (48, 96), **options})


def index_of(layout, indices=None, rows=ROWS, cols=COLS):
    return overlap_index(layout, indices=indices or layout.groups()[0].indices, rows=rows, cols=cols)


def rays_of(layout, indices, rows=ROWS, cols=COLS):
    return torch.from_numpy(np.concatenate([layout.views[i].rays(rows, cols).reshape(-1, 3) for i in indices]))[None]


@pytest.mark.parametrize("options", [{}, {"hfov_deg": 75, "overlap": 0.3}, {"pitch_deg": 30.0}])
def test_both_sides_of_a_pair_look_the_same_way(options):
    """Features that are the rays themselves agree, though columns of two views at the same ray are far apart."""
    layout = ring(**options)
    indices = layout.groups()[0].indices
    a, b = index_of(layout).gather(rays_of(layout, indices))
    cosine = torch.nn.functional.cosine_similarity(a, b).clamp(max=1.0)
    apart = torch.rad2deg(torch.acos(cosine))
    assert apart.max() < 2.0  # within half a token of b's edge, where there is no neighbour on the other side
    assert apart.median() < 0.1


def test_the_pairs_close_over_the_seam():
    layout = ring()
    index = index_of(layout)
    pairs = {(int(a), int(b)) for a, b in zip(index.source // ROWS**2, index.neighbours[:, 0] // ROWS**2, strict=True)}
    count = len(layout.groups()[0].indices)
    assert {(0, count - 1), (count - 1, 0)} <= pairs
    assert pairs == {(b, a) for a, b in pairs}
    seam = [i for i, v in enumerate(layout.views[:count]) if abs(v.yaw_deg) in (135.0, 180.0)]
    assert len([p for p in pairs if set(p) <= set(seam)]) >= 4  # 135 with 180, 180 with -135


def test_every_view_takes_part_as_often_as_every_other():
    layout = ring()
    counts = torch.bincount(index_of(layout).source // ROWS**2)
    assert len(counts) == 8 and len(set(counts.tolist())) == 1


def test_the_global_view_takes_no_part():
    layout = ring(global_size_px=(48, 48))  # of the ring's size, so of the ring's group
    indices = layout.groups()[0].indices
    assert len(indices) == 9 and layout.views[8].is_global
    index = index_of(layout)
    assert int(index.source.max()) < 8 * ROWS**2
    assert int(index.neighbours.max()) < 8 * ROWS**2


def test_weights_are_those_of_bilinear_reading():
    index = index_of(ring())
    assert index.weights.min() >= 0
    torch.testing.assert_close(index.weights.sum(dim=1), torch.ones(len(index.weights)))


def test_gathering_keeps_panoramas_apart():
    layout = ring()
    index = index_of(layout)
    tokens = torch.arange(2.0)[:, None, None].expand(2, 8 * ROWS**2, 1)
    a, b = index.gather(tokens)
    half = len(index.source)
    assert len(a) == len(b) == 2 * half
    assert torch.equal(a[:half], torch.zeros(half, 1)) and torch.equal(a[half:], torch.ones(half, 1))
    torch.testing.assert_close(b, a)


def test_gradients_reach_both_sides():
    layout = ring()
    tokens = torch.randn(1, 8 * ROWS**2, 2, requires_grad=True)
    a, b = index_of(layout).gather(tokens)
    (from_a,) = torch.autograd.grad(a.sum(), tokens, retain_graph=True)
    (from_b,) = torch.autograd.grad(b.sum(), tokens)
    assert from_a.abs().sum() > 0 and from_b.abs().sum() > 0


def test_more_overlap_gives_more_pairs():
    rings = ring(overlap=0.2), ring(overlap=0.5)
    few, many = (len(index_of(layout).source) / len(layout.ring_indices) for layout in rings)
    assert 0 < few < many


@pytest.mark.parametrize("layout", [build_layout("cubemap", size_px=48), ring(hfov_deg=90, overlap=0.0)])
def test_a_layout_without_overlap_is_refused(layout):
    with pytest.raises(ValueError, match=r"no two views of layout .* overlap.*views.overlap > 0, or drop the stage"):
        index_of(layout)


def test_what_no_other_view_sees_has_no_part_in_the_pairs():
    """A narrow overlap: the tokens in the middle of each view are seen once, whatever they hold changes nothing."""
    layout = ring(overlap=0.1)
    index = index_of(layout)
    count = len(layout.ring_indices) * ROWS**2
    tokens = torch.randn(1, count, 2, requires_grad=True)
    a, b = index.gather(tokens)
    (grad,) = torch.autograd.grad((a - b).pow(2).sum(), tokens)
    used = set(index.source.tolist()) | set(index.neighbours[index.weights > 0].tolist())
    unseen = sorted(set(range(count)) - used)
    assert len(unseen) > count // 3
    assert grad[:, unseen].abs().max() == 0
    changed = tokens.detach().clone()
    changed[:, unseen] = float("nan")
    assert torch.equal(index.gather(changed)[0], a.detach())


def test_pairs_are_cut_by_views_and_know_their_rays():
    layout = ring()
    index = index_of(layout)
    tokens = rays_of(layout, layout.groups()[0].indices).float()
    a, _ = index.gather(tokens.repeat(2, 1, 1))
    groups = index.by_views(a)
    assert len(groups) == len(index.sizes) == 2 * len(layout.overlap_pairs())
    assert [g.shape[:2] for g in groups] == [(2, n) for n in index.sizes]
    assert torch.equal(torch.cat([g[0] for g in groups]), index.rays)
    assert torch.equal(torch.bincount(index.view_pair), torch.tensor(index.sizes))
