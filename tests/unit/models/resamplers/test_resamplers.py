"""Resamplers: how many tokens, and where they look."""

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from panollava.config.visual import RESAMPLER_READS, WITHOUT_PLACE, ResamplerConfig
from panollava.errors import ModelError
from panollava.models.resamplers import RESAMPLERS, Resampler, build_resampler
from panollava.models.resamplers.bimamba import ORDERS
from panollava.models.resamplers.masked_drop import DROPS
from panollava.models.resamplers.spatial_pool import POOLINGS

SETTINGS = {"width": 12, "pool": 2, "hidden": None, "queries": 5, "depth": 2, "heads": 3}


def build(kind, *, seed=0, **changes):
    torch.manual_seed(seed)
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


GRIDS = [(4, 4), (4, 8), (2, 6)]  # square, the global view's 2:1, and another
WITH_PLACE = [kind for kind in RESAMPLERS if kind not in WITHOUT_PLACE]


@pytest.mark.parametrize("kind", RESAMPLERS)
@pytest.mark.parametrize(("rows", "cols"), GRIDS)
def test_every_kind_takes_grids_of_any_shape_and_says_what_it_makes(kind, rows, cols):
    resampler = build(kind)
    assert isinstance(resampler, Resampler)
    tokens = resampler(torch.randn(3, rows, cols, 12))
    assert tokens.shape == (3, resampler.token_count(rows, cols), resampler.out_width)
    grid = resampler.grid(rows, cols)
    assert (grid is None) == (kind in WITHOUT_PLACE)
    if grid is not None:
        assert grid == (rows // 2, cols // 2) and len(tokens[0]) == grid[0] * grid[1]


@pytest.mark.parametrize("kind", RESAMPLERS)
def test_the_views_of_a_batch_do_not_mix(kind):
    resampler = build(kind)
    patches = torch.randn(3, 4, 6, 12)
    torch.testing.assert_close(resampler(patches)[1:2], resampler(patches[1:2]))


@pytest.mark.parametrize("kind", RESAMPLERS)
def test_every_weight_is_trained(kind):
    resampler = build(kind)
    resampler(torch.randn(2, 4, 6, 12)).square().sum().backward()
    assert all(p.grad is not None for p in resampler.parameters())
    resampler(torch.randn(2, 4, 6, 12)).mul(torch.randn(12)).sum().backward()
    assert [name for name, p in resampler.named_parameters() if not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("kind", RESAMPLERS)
def test_training_changes_no_token_by_chance(kind):
    """No kind has dropout: what masked drop hides, it hides from the language model, and it still makes it."""
    resampler, patches = build(kind), torch.randn(2, 4, 6, 12)
    torch.testing.assert_close(resampler.train()(patches), resampler.eval()(patches), rtol=0, atol=0)


@pytest.mark.parametrize("kind", WITH_PLACE)
def test_a_token_looks_at_its_own_block_most(kind):
    """Where a token has a place, its block must move it more than any other block does: else its ray would lie."""
    moved = torch.zeros(8, 8)
    for seed in range(6):  # of one random convolution the middle may weigh less than a side
        resampler = build(kind, depth=1, seed=seed)
        patches = torch.randn(8, 4, 8, 12)
        before = resampler(patches)
        for number in range(8):
            changed = patches.clone()
            row, col = divmod(number, 4)
            changed[:, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2] = torch.randn(8, 2, 2, 12)
            moved[number] += (resampler(changed) - before).norm(dim=-1).mean(dim=0).detach()
    assert moved.argmax(dim=0).tolist() == list(range(8))


def test_the_configuration_offers_these_kinds_and_these_settings():
    assert set(RESAMPLERS) == set(RESAMPLER_READS) == set(get_args(ResamplerConfig.model_fields["kind"].annotation))
    assert set(POOLINGS) == set(get_args(ResamplerConfig.model_fields["pooling"].annotation))
    assert set(DROPS) == set(get_args(ResamplerConfig.model_fields["drop"].annotation))
    assert set(ORDERS) == set(get_args(ResamplerConfig.model_fields["order"].annotation))
    settings = inspect.signature(build_resampler).parameters
    assert set(settings) - {"width", "seed"} == set(ResamplerConfig.model_fields)
    for name, field in ResamplerConfig.model_fields.items():
        if name != "kind":
            assert settings[name].default == field.default, name


def test_the_page_says_the_same():
    page = (Path(__file__).parents[4] / "docs" / "resamplers.md").read_text(encoding="utf-8")
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")]
    said = {row[0].strip("`"): (row[2] == "yes", tuple(re.findall(r"`(\w+)`", row[3]))) for row in rows}
    assert said == {kind: (kind not in WITHOUT_PLACE, reads) for kind, reads in RESAMPLER_READS.items()}
