"""The Q-Former: a set of patches in, one token per query out."""

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.resamplers.qformer import QFormerResampler


def build(**changes):
    torch.manual_seed(0)
    return QFormerResampler(**{"width": 12, "queries": 5, "depth": 2, "heads": 3, **changes})


def test_width_and_number_of_tokens_are_its_own():
    resampler = build(hidden=24)
    assert resampler(torch.randn(2, 3, 6, 12)).shape == (2, 5, 24)
    assert resampler.grid(3, 6) is None and resampler.token_count(3, 6) == 5


def test_patches_are_a_set_to_it():
    """It knows no place: whoever uses it must rely on what the encoder says about places."""
    resampler, patches = build(), torch.randn(1, 2, 6, 12)
    mixed = patches.flatten(1, 2)[:, torch.randperm(12)].reshape(1, 3, 4, 12)
    torch.testing.assert_close(resampler(mixed), resampler(patches))


def test_queries_read_patches_and_each_other_in_both_directions():
    resampler = build()
    patches = torch.randn(1, 2, 3, 12, requires_grad=True)
    weight = torch.rand(12)
    for token in range(5):
        loss = (resampler(patches)[0, token].square() * weight).sum()
        by_patch, by_query = torch.autograd.grad(loss, (patches, resampler.queries))
        assert (by_patch.abs().sum(dim=-1) > 0).all() and (by_query.abs().sum(dim=-1) > 0).all()


def test_every_other_layer_reads_the_patches():
    names = {n.split(".")[3] for n, _ in build(depth=4).named_parameters() if "crossattention" in n}
    assert names == {"0", "2"}


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ModelError, match=r"resampler.heads=5 does not divide the width 12.*resampler.hidden"):
        build(heads=5)
