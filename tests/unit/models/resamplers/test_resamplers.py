"""Resamplers: how many tokens, and where they look."""

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.resamplers import build_resampler

SETTINGS = {"width": 12, "pool": 2, "hidden": None, "queries": 5, "depth": 2, "heads": 3}


def build(kind, **changes):
    torch.manual_seed(0)
    return build_resampler(kind, **{**SETTINGS, **changes})


@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (4, 8), (2, 6)])
def test_mlp_tokens_keep_a_grid(rows, cols):
    resampler = build("mlp", hidden=7)
    tokens = resampler(torch.randn(3, rows, cols, 12))
    assert tokens.shape == (3, rows // 2 * cols // 2, 7)
    assert resampler.grid(rows, cols) == (rows // 2, cols // 2)
    assert resampler.token_count(rows, cols) == tokens.shape[1]
    assert resampler.out_width == 7


def test_mlp_reads_each_block_once_and_in_reading_order():
    resampler = build("mlp")
    patches = torch.randn(1, 4, 6, 12)
    before = resampler(patches)
    changed = patches.clone()
    changed[0, 3, 2] += 1.0  # row 3, column 2: block row 1, block column 1 of 2 x 3
    moved = (resampler(changed) - before).abs().amax(dim=-1)[0] > 0
    assert moved.nonzero().flatten().tolist() == [1 * 3 + 1]


def test_mlp_tells_the_places_in_a_block_apart():
    resampler = build("mlp")
    patches = torch.randn(1, 2, 2, 12)
    assert not torch.allclose(resampler(patches), resampler(patches.flip(2)), atol=1e-3)


def test_mlp_refuses_patches_that_do_not_divide():
    with pytest.raises(ModelError, match=r"5 x 4 patches do not divide into blocks of 2 x 2.*resampler.pool"):
        build("mlp")(torch.zeros(1, 5, 4, 12))


@pytest.mark.parametrize(("rows", "cols"), [(4, 4), (2, 9)])
def test_perceiver_tokens_have_no_place(rows, cols):
    resampler = build("perceiver")
    assert resampler(torch.randn(3, rows, cols, 12)).shape == (3, 5, 12)
    assert resampler.grid(rows, cols) is None
    assert resampler.token_count(rows, cols) == 5


def test_every_latent_of_a_perceiver_reads_every_patch():
    resampler = build("perceiver", depth=1)
    patches = torch.randn(1, 2, 3, 12, requires_grad=True)
    for latent in range(5):
        (seen,) = torch.autograd.grad(resampler(patches)[0, latent].square().sum(), patches)
        assert (seen.abs().sum(dim=-1) > 0).all()


def test_the_views_of_a_perceiver_do_not_mix():
    resampler = build("perceiver")
    patches = torch.randn(2, 2, 2, 12)
    torch.testing.assert_close(resampler(patches)[0], resampler(patches[:1])[0])


def test_perceiver_refuses_heads_that_do_not_divide():
    with pytest.raises(ModelError, match=r"resampler.heads=5 does not divide the encoder's width 12"):
        build("perceiver", heads=5)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ModelError, match=r"'percever'. Did you mean 'perceiver'"):
        build("percever")
