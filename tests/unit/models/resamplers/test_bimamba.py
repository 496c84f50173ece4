"""Mamba from both ends: the mixer is Mamba's, every token sees all others, and the path is the one that is named."""

import pytest
import torch
from torch.nn import functional as F

from panollava.errors import ModelError
from panollava.models.resamplers.bimamba import BiMambaLayer, BiMambaResampler, MambaScan, snake


def test_one_direction_is_the_mixer_of_hugging_face():
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    torch.manual_seed(0)
    width, inner, state, rank = 16, 32, 5, 3
    config = MambaConfig(
        hidden_size=width, intermediate_size=inner, expand=2, state_size=state, time_step_rank=rank, conv_kernel=4,
        num_hidden_layers=1, use_bias=False, use_conv_bias=True,
    )  # fmt: skip
    theirs, ours = MambaMixer(config, layer_idx=0).eval(), MambaScan(inner, state=state, rank=rank)
    with torch.no_grad():
        theirs.A_log.add_(0.3 * torch.randn(inner, state))
        theirs.D.mul_(torch.rand(inner))
        ours.conv.load_state_dict(theirs.conv1d.state_dict())
        ours.select.load_state_dict(theirs.x_proj.state_dict())
        ours.step.load_state_dict(theirs.dt_proj.state_dict())
        ours.A_log.copy_(theirs.A_log)
        ours.D.copy_(theirs.D)
        tokens = torch.randn(2, 23, width)
        x, gate = theirs.in_proj(tokens).chunk(2, dim=-1)
        torch.testing.assert_close(theirs.out_proj(ours(x) * F.silu(gate)), theirs(tokens), rtol=1e-4, atol=1e-5)


def test_it_starts_with_the_rates_of_the_paper():
    torch.manual_seed(0)
    scan = MambaScan(400, state=6, rank=4)
    torch.testing.assert_close(-scan.A_log.exp(), -torch.arange(1.0, 7.0).expand(400, 6))
    steps = F.softplus(scan.step.bias.detach())
    assert 0.00099 < steps.min() < 0.0015 and 0.08 < steps.max() < 0.1001


@pytest.mark.parametrize("order", ["rows", "snake"])
def test_every_token_sees_every_patch(order):
    torch.manual_seed(0)
    resampler = BiMambaResampler(width=8, pool=1, depth=1, order=order)
    patches = torch.randn(1, 3, 4, 8, requires_grad=True)
    for token in range(12):
        (seen,) = torch.autograd.grad(resampler(patches)[0, token].square().mul(torch.rand(8)).sum(), patches)
        assert (seen.abs().sum(dim=-1) > 0).all()


def test_with_equal_weights_both_ways_a_turned_sequence_gives_turned_tokens():
    torch.manual_seed(0)
    layer = BiMambaLayer(8, state=4, expand=2.0)
    layer.back.load_state_dict(layer.ahead.state_dict())
    tokens = torch.randn(2, 9, 8)
    torch.testing.assert_close(layer(tokens.flip(1)), layer(tokens).flip(1))
    layer.back = MambaScan(16, state=4, rank=1)
    assert not torch.allclose(layer(tokens.flip(1)), layer(tokens).flip(1), atol=1e-4)


def test_a_snake_never_jumps_and_leads_back():
    for rows, cols in ((1, 5), (4, 4), (3, 7), (2, 8)):
        path = snake(rows, cols)
        assert torch.equal(path[path], torch.arange(rows * cols))
        row, col = path // cols, path % cols
        assert ((row.diff().abs() + col.diff().abs()) == 1).all()


@pytest.mark.parametrize(("order", "path"), [("rows", [0, 1, 2, 3, 4, 5]), ("snake", [0, 1, 2, 5, 4, 3])])
def test_the_layers_read_the_path_and_the_tokens_come_back_in_rows(order, path):
    torch.manual_seed(0)
    resampler, read = BiMambaResampler(width=8, pool=1, depth=1, order=order), []
    resampler.layers = torch.nn.Identity()
    resampler.layers.register_forward_hook(lambda module, inputs, out: read.append(inputs[0]))
    patches = torch.randn(1, 2, 3, 8)
    tokens, plain = resampler(patches), resampler.enter(patches.flatten(1, 2))
    torch.testing.assert_close(read[0], plain[:, path])
    torch.testing.assert_close(tokens, resampler.norm(plain))


def test_an_unknown_order_offers_the_nearest():
    with pytest.raises(ModelError, match=r"unknown resampler.order 'snakes'. Did you mean 'snake'"):
        BiMambaResampler(width=8, order="snakes")
