"""Encoders: what is dropped, what is kept, and where a patch is."""

import dataclasses

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.vision import VisionEncoder, load_vision

PREFIX = {"siglip": 0, "clip": 1, "dinov2": 1 + 3, "dinov3": 1 + 2, "vit": 1, "siglip2": 0}
FAMILIES = tuple(PREFIX)


@pytest.fixture
def load(zoo):
    def load(family, **options):
        return load_vision(zoo.vision(family), dtype=torch.float32, **options).eval()

    return load


def image(height=32, width=32, count=1):
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=random)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "siglip2"])  # it takes no pictures
@torch.no_grad()
def test_cls_and_register_tokens_are_dropped(load, family):
    encoder = load(family)
    inputs = encoder.normalise(image())
    raw = encoder.model(pixel_values=inputs).last_hidden_state
    assert raw.shape[1] == 16 + PREFIX[family]
    assert torch.equal(encoder(inputs), raw[:, PREFIX[family] :].reshape(1, 4, 4, 32))


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_grid_need_not_be_square(load, family):
    encoder = load(family)
    assert encoder(encoder.normalise(image(32, 64))).shape == (1, 4, 8, 32)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_patches_are_in_reading_order(load, family):
    """Rows before columns: the patch whose pixels change is the one whose feature changes most."""
    encoder = load(family)
    grey = torch.full((1, 32, 64, 3), 128, dtype=torch.uint8)
    spot = grey.clone()
    spot[0, 8:16, 40:48] = torch.tensor([255, 0, 40], dtype=torch.uint8)
    change = (encoder(encoder.normalise(spot)) - encoder(encoder.normalise(grey))).norm(dim=-1)[0]
    assert divmod(int(change.argmax()), 8) == (1, 5)


@torch.no_grad()
def test_an_earlier_layer_may_be_asked_for(load):
    encoder = load("dinov2", feature_layer=-2)
    inputs = encoder.normalise(image())
    states = encoder.model(pixel_values=inputs, output_hidden_states=True).hidden_states
    assert torch.equal(encoder(inputs).reshape(1, 16, 32), states[-2][:, 4:])
    assert not torch.allclose(encoder(inputs), load("dinov2")(inputs))


def test_an_image_that_does_not_divide_into_patches_names_the_sizes(load):
    encoder = load("siglip")
    with pytest.raises(ModelError, match=r"36 x 32 px does not divide into patches of 8 px.*multiples of 8"):
        encoder(torch.zeros(1, 3, 36, 32))


def test_a_wrong_contract_names_both_counts(load):
    encoder = load("clip")
    wrong = VisionEncoder(encoder.model, dataclasses.replace(encoder.contract, prefix_tokens=0))
    with pytest.raises(ModelError, match=r"returned 17 tokens for 4 x 4 patches.*0 \+ 16"):
        wrong(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("family", "mean", "std"),
    [
        ("siglip", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ("dinov2", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_pixels_are_normalised_as_the_family_was_trained(load, family, mean, std):
    pixel = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    got = load(family).normalise(pixel)
    assert got.shape == (1, 3, 1, 1)
    wanted = [(v / 255 - m) / s for v, m, s in zip((0, 51, 255), mean, std, strict=True)]
    assert got.flatten().tolist() == pytest.approx(wanted, abs=1e-6)


def test_the_models_own_processor_has_the_last_word_on_normalisation(load, tmp_path):
    from transformers import SiglipImageProcessorPil

    load("siglip").model.save_pretrained(tmp_path)
    SiglipImageProcessorPil(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(tmp_path)
    contract = load_vision(tmp_path, dtype=torch.float32).contract
    assert (contract.mean, contract.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_only_the_vision_tower_of_a_dual_encoder_is_loaded(load, tmp_path):
    from transformers import CLIPConfig, CLIPModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {**size, "vocab_size": 8}
    dual = CLIPModel(CLIPConfig(text_config=text, vision_config=load("clip").model.config.to_dict(), projection_dim=8))
    dual.save_pretrained(tmp_path)
    encoder = load_vision(tmp_path, dtype=torch.float32).eval()
    inputs = encoder.normalise(image())
    with torch.no_grad():
        own = dual.eval().vision_model(pixel_values=inputs).last_hidden_state[:, 1:]
        assert torch.equal(encoder(inputs).reshape(1, 16, 32), own)
    assert encoder.contract.prefix_tokens == 1
    assert not any("text" in name for name, _ in encoder.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_in_order_and_complete(load, family):
    encoder = load(family)
    seen = []
    for number, block in enumerate(encoder.blocks()):
        block.register_forward_hook(lambda *_, number=number: seen.append(number))
    encoder(encoder.normalise(image()))
    assert seen == [0, 1]


def test_an_undeclared_architecture_is_refused(tmp_path):
    """A ResNet has neither image_size nor patch_size in its config."""
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"'resnet' is not declared. Declared: siglip, "):
        load_vision(tmp_path, dtype=torch.float32)


def test_a_missing_encoder_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing.*cannot be loaded.*Give vision.model a folder"):
        load_vision(tmp_path / "nothing", dtype=torch.float32)


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (16, 48)])
@torch.no_grad()
def test_naflex_patches_are_those_of_its_own_image_processor(load, size):
    from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

    encoder = load("siglip2")
    inputs = encoder.normalise(image(*size))
    patches = convert_image_to_patches(inputs[0].numpy(), 8)
    grid = (size[0] // 8, size[1] // 8)
    raw = encoder.model(
        pixel_values=torch.from_numpy(patches)[None],
        pixel_attention_mask=torch.ones(1, len(patches), dtype=torch.long),
        spatial_shapes=torch.tensor([grid]),
    ).last_hidden_state
    torch.testing.assert_close(encoder(inputs), raw.reshape(1, *grid, 32))
