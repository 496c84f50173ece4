"""The convolutional encoder: its grid, its padding, its fixed statistics, and its peer."""

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig, FrozenBatchNorm, _SameConv
from panollava.models.vision import load_vision

SIZES = {"stem": 8, "stages": [[1, 3, 2, 1, 8], [2, 5, 2, 2, 16]], "hidden_size": 24, "image_size": 32}


def tiny(**changes):
    torch.manual_seed(0)
    values = {**SIZES, "patch_size": 8, "num_hidden_layers": 3, **changes}
    return EfficientNetLite(EfficientNetLiteConfig(**values)).eval()


@pytest.fixture
def folder(tmp_path):
    model = tiny()
    for norm in (m for m in model.modules() if isinstance(m, FrozenBatchNorm)):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.uniform_(0.5, 2.0)
    model.save_pretrained(tmp_path)
    return tmp_path


@torch.no_grad()
def test_a_folder_is_an_encoder_like_any_other(folder):
    encoder = load_vision(folder, dtype=torch.float32)
    assert (encoder.contract.prefix_tokens, encoder.contract.patch_px, encoder.hidden_size) == (0, 8, 24)
    assert encoder.contract.mean == encoder.contract.std == (0.5, 0.5, 0.5)
    grey = torch.full((1, 64, 96, 3), 128, dtype=torch.uint8)
    spot = grey.clone()
    spot[0, 40:48, 80:88] = torch.tensor([255, 0, 40], dtype=torch.uint8)
    features = encoder(encoder.normalise(spot))
    assert features.shape == (1, 8, 12, 24)
    change = (features - encoder(encoder.normalise(grey))).square().sum(dim=-1)[0]
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), indexing="ij")
    centre = [float((change * axis).sum() / change.sum()) for axis in (rows, columns)]
    # Not the one patch: SAME padding puts the middle of an untrained field of view half a patch to the end.
    assert centre == pytest.approx([5, 10], abs=1)


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "stride", "before"), [(3, 1, 1), (3, 2, 0), (5, 1, 2), (5, 2, 1), (1, 1, 0)])
def test_the_padding_is_tensorflows(kernel, stride, before):
    """Output i of SAME starts at pixel stride i - before, and an even picture has the odd padding at its end."""
    conv = _SameConv(1, 1, kernel, stride=stride, bias=False)
    conv.weight.zero_()
    conv.weight[0, 0, 0, 0] = 1.0
    picture = torch.arange(1.0, 65.0).reshape(1, 1, 8, 8)
    seen = conv(picture)
    assert seen.shape[-2:] == (8 // stride, 8 // stride)
    for i in range(8 // stride):
        at = stride * i - before
        assert seen[0, 0, i, i] == (0.0 if at < 0 else picture[0, 0, at, at])


@torch.no_grad()
def test_statistics_stay_those_of_pretraining_also_in_training_mode(folder):
    model = EfficientNetLite.from_pretrained(folder)
    before = {name: value.clone() for name, value in model.named_buffers()}
    pixels = torch.randn(2, 3, 32, 32)
    told = model.eval()(pixel_values=pixels).last_hidden_state
    assert torch.equal(model.train()(pixel_values=pixels).last_hidden_state, told)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert any(value.abs().max() > 0.01 for name, value in before.items() if name.endswith("mean"))


def test_its_last_blocks_are_head_and_stages(folder):
    encoder = load_vision(folder, dtype=torch.float32)
    head, stage = list(encoder.blocks())[-1], list(encoder.blocks())[-2]
    assert sum(p.numel() for p in head.parameters()) == 16 * 24 + 2 * 24
    assert len(stage) == 2 and encoder.model.config.num_hidden_layers == len(encoder.blocks()) == 3


def test_an_inner_layer_is_refused(folder):
    with pytest.raises(ModelError, match=r"feature_layer is -2.*EfficientNetLite differ in grid"):
        load_vision(folder, dtype=torch.float32, feature_layer=-2)


@pytest.mark.parametrize("changes", [{"patch_size": 16}, {"num_hidden_layers": 2}])
def test_sizes_that_contradict_each_other_are_refused(changes):
    with pytest.raises(ModelError, match="2 stages, one feature per 8 pixels"):
        tiny(**changes)


@torch.no_grad()
def test_lite0_is_the_published_network():
    """Same features as the package that published the weights, on random weights of every tensor."""
    peer = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="the peer efficientnet_lite_pytorch is not installed"
    )
    from panollava.models.offline.efficientnet import our_name

    torch.manual_seed(0)
    theirs = peer.EfficientNet.from_name("efficientnet-lite0").eval()
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    ours = EfficientNetLite(EfficientNetLiteConfig()).eval()
    backbone = {k: v for k, v in theirs.state_dict().items() if not k.startswith("_fc.") and "num_batches" not in k}
    ours.load_state_dict({our_name(name): tensor for name, tensor in backbone.items()})
    pixels = torch.randn(1, 3, 224, 224)
    expected = theirs.extract_features(pixels).flatten(2).transpose(1, 2)
    assert expected.std() > 0.01
    torch.testing.assert_close(ours(pixel_values=pixels).last_hidden_state, expected)
