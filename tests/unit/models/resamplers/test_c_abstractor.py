"""The C-Abstractor: local, on any grid, with rays that are true to half a patch."""

import math

import pytest
import torch
from torch.nn import functional as F

from panollava.models.resamplers.c_abstractor import CAbstractorResampler


def build(**changes):
    torch.manual_seed(0)
    return CAbstractorResampler(**{"width": 12, "pool": 2, "depth": 1, **changes})


def test_grids_that_do_not_divide_are_legal():
    resampler = build(pool=3, hidden=16)
    assert resampler.grid(7, 14) == (3, 5)
    assert resampler(torch.randn(2, 7, 14, 12)).shape == (2, 15, 16)


def test_without_attention_far_patches_reach_a_token_only_through_the_gate():
    """Squeeze and excitation is a mean over the view; held fixed, a block sees its neighbours and no further."""
    resampler = build()
    for block in (*resampler.before, *resampler.after):
        block.gate = torch.nn.AdaptiveAvgPool2d(1)  # a factor without weights ...
        block.gate.forward = lambda x: torch.ones_like(x)  # ... that is one
    patches = torch.randn(1, 12, 12, 12)
    changed = patches.clone()
    changed[0, 0, 0] += 1.0
    moved = (resampler(changed) - resampler(patches))[0].norm(dim=-1).reshape(6, 6) > 0
    assert moved[:2, :2].all() and int(moved.sum()) == 4


def test_pooling_means_the_cells_that_the_documentation_draws():
    resampler = build(depth=1)
    resampler.before, resampler.after, resampler.enter = (torch.nn.Identity() for _ in range(3))
    patches = torch.randn(1, 4, 6, 12)
    wanted = patches.reshape(1, 2, 2, 3, 2, 12).mean(dim=(2, 4)).reshape(1, 6, 12)
    torch.testing.assert_close(resampler(patches), F.layer_norm(wanted, (12,)))


@pytest.mark.parametrize("pool", [2, 3, 4, 5])
def test_the_ray_of_a_token_is_less_than_half_a_patch_from_the_mean_of_its_cell(pool):
    worst = 0.0
    for size in range(2, 40):
        cells = math.ceil(size / pool)
        place = torch.arange(size).double() + 0.5
        means = F.adaptive_avg_pool1d(place[None, None], cells)[0, 0]
        even = (torch.arange(cells).double() + 0.5) * size / cells
        worst = max(worst, float((means - even).abs().max()))
    assert 0.0 < worst < 0.5
