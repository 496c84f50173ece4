"""Spatial pooling, against sums by hand."""

import pytest
import torch
from torch.nn import functional as F

from panollava.errors import ModelError
from panollava.models.resamplers.spatial_pool import SpatialPoolResampler


def build(pooling, pool=2):
    torch.manual_seed(0)
    return SpatialPoolResampler(width=6, pool=pool, pooling=pooling)


@pytest.mark.parametrize("pooling", ["average", "max", "strided"])
@pytest.mark.parametrize(("rows", "cols", "pool"), [(4, 6, 2), (6, 3, 3)])
def test_a_token_is_its_block_and_nothing_else(pooling, rows, cols, pool):
    resampler, patches = build(pooling, pool), torch.randn(1, rows, cols, 6)
    tokens = resampler(patches)[0]
    for number in range(len(tokens)):
        row, col = divmod(number, cols // pool)
        block = patches[0, pool * row : pool * (row + 1), pool * col : pool * (col + 1)].reshape(-1, 6)
        if pooling == "strided":
            kernel = resampler.conv.weight.flatten(2)  # out, in, places
            wanted = torch.einsum("oip,pi->o", kernel, block) + resampler.conv.bias
        else:
            wanted = block.mean(dim=0) if pooling == "average" else block.amax(dim=0)
        torch.testing.assert_close(tokens[number], F.layer_norm(wanted, (6,)))


def test_what_does_not_divide_or_is_unknown_is_refused():
    with pytest.raises(ModelError, match=r"5 x 4 patches do not divide into blocks of 2 x 2"):
        build("max")(torch.zeros(1, 5, 4, 6))
    with pytest.raises(ModelError, match=r"'mean'.*Available: average, max, strided"):
        build("mean")
