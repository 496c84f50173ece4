"""Every preset, built on the meta device from its stored architecture: no weights, no network, real classes."""

from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    CLIPVisionModel,
    PreTrainedModel,
    Siglip2VisionModel,
    SiglipVisionModel,
)

from panollava.config.memory import DecoderShape
from panollava.config.presets import list_presets
from panollava.config.zoo import PRESETS, ModelPreset, stored_configs
from panollava.models.adapter import add_lora
from panollava.models.efficientnet_lite import register
from panollava.models.language import LanguageModel
from panollava.models.vision import contract_of

TOWERS = {
    "siglip_vision_model": SiglipVisionModel,
    "siglip2_vision_model": Siglip2VisionModel,
    "clip_vision_model": CLIPVisionModel,
}

# What the model cards state, in millions; of dual encoders the vision tower. Exact numbers are in the table.
PUBLISHED_M = {
    "qwen_0.5b": 494.0, "qwen_1.5b": 1543.7, "qwen_3b": 3085.9, "qwen_7b": 7615.6, "qwen_14b": 14770.0,
    "qwen3_0.6b": 596.0, "qwen3_1.7b": 1720.6, "qwen3_4b": 4022.5, "qwen3_8b": 8190.7,
    "llama_1b": 1235.8, "llama_3b": 3212.7, "gemma_2b": 2614.3, "gemma_9b": 9241.7,
    "gemma3_270m": 268.1, "gemma3_1b": 999.9,
    "smollm2-135m": 134.5, "smollm2-360m": 361.8, "smollm2-1.7b": 1711.4, "smollm3-3b": 3075.1,
    "siglip_base": 92.9, "siglip_large": 316.0, "siglip_so400m": 428.2,
    "siglip2_base": 92.9, "siglip2_large": 316.0, "siglip2_so400m": 428.2,
    "clip_base": 85.8, "clip_large": 303.2, "dinov2_small": 22.1, "dinov2_base": 86.6, "dinov2_large": 304.4,
    "dinov2_base_registers": 86.6, "dinov3_small": 21.6, "dinov3_base": 85.7, "dinov3_large": 303.1,
}  # fmt: skip


def built(preset: ModelPreset) -> PreTrainedModel:
    register()
    values = preset.config
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    with torch.device("meta"):
        if preset.role == "language":
            return AutoModelForCausalLM.from_config(config)
        tower = TOWERS.get(config.model_type)
        return tower(config) if tower else AutoModel.from_config(config)


def ids(presets: Any) -> list[str]:
    return [preset.name for preset in presets]


def test_at_least_thirty_models_are_offered_each_with_its_architecture():
    assert len(PRESETS) >= 30
    assert {preset.name for preset in PRESETS} == set(stored_configs())


@pytest.mark.parametrize("preset", PRESETS, ids=ids(PRESETS))
def test_a_preset_has_the_published_number_of_parameters(preset):
    count = sum(parameter.numel() for parameter in built(preset).parameters())
    assert count == preset.parameters
    if preset.name in PUBLISHED_M:
        assert count / 1e6 == pytest.approx(PUBLISHED_M[preset.name], abs=0.06)


VISION, LANGUAGE = list_presets("vision"), list_presets("language")


@pytest.mark.parametrize("preset", VISION, ids=ids(VISION))
def test_an_encoder_keeps_its_contract(preset):
    """The real forward on the meta device: as many tokens as declared, on square views and on 1 x 2 ones."""
    model = built(preset)
    contract = contract_of(model.config)
    assert (contract.image_px, contract.patch_px) == (preset.image_px, preset.patch_px)
    side = contract.image_px // contract.patch_px
    assert contract.grid(contract.image_px, 2 * contract.image_px) == (side, 2 * side)
    if contract.takes_patches:  # its positions are interpolated by numbers that the meta device does not hold
        return
    for columns in (1, 2):
        shape = (1, 3, contract.image_px, columns * contract.image_px)
        flag = {"interpolate_pos_encoding": True} if contract.interpolate_flag else {}
        with torch.device("meta"):
            tokens = model(pixel_values=torch.empty(shape), **flag).last_hidden_state
        assert tokens.shape == (1, contract.prefix_tokens + side * side * columns, preset.width)


@pytest.mark.parametrize("preset", LANGUAGE, ids=ids(LANGUAGE))
def test_lora_finds_its_targets_in_every_layer(preset):
    language = LanguageModel(built(preset))
    shape = DecoderShape.of(preset.config)
    with torch.device("meta"):
        count = add_lora(language, r=4, alpha=8, dropout=0.0)
    assert count == shape.lora_parameters(4)
    adapted = {name.split(".lora_A")[0] for name, _ in language.named_parameters() if ".lora_A" in name}
    assert len(adapted) == 7 * shape.layers
    assert not any("lm_head" in name for name in adapted)
