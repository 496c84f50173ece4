"""Memory by arithmetic, held to what the real classes keep."""

import pytest
import torch

from panollava.config.memory import BYTES, DecoderShape, inference_memory, training_memory
from panollava.config.zoo import stored_configs
from panollava.models.adapter import add_lora
from panollava.models.language import load_language

FAMILIES = ("qwen2", "qwen3", "llama", "smollm3", "gemma3")
"""Gemma 2 runs eager attention, whose scores grow with the square of the length; the formula leaves that out."""
TOKENS = 64


def kept_bytes(model, embeddings):
    """Return the bytes that autograd keeps for the backward pass, each memory once, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        read = model.base_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
    assert read.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora", [True, False])
def test_activations_are_those_that_autograd_keeps(zoo, family, lora):
    language, _ = load_language(zoo.language(family), dtype=torch.float32, attention="sdpa")
    language.model.set_attn_implementation("sdpa")
    language.model.requires_grad_(False)
    if lora:
        add_lora(language, r=4, alpha=8, dropout=0.0)
    embeddings = torch.randn(1, TOKENS, language.hidden_size, requires_grad=True)
    shape = DecoderShape.of(language.model.config.to_dict())
    expected = shape.layers * shape.activation_numbers(lora=lora) * TOKENS * 4
    assert expected == pytest.approx(kept_bytes(language.model, embeddings), rel=0.3)


@pytest.mark.parametrize("family", [*FAMILIES, "gemma2"])
def test_adapter_and_cache_are_counted_exactly(zoo, family):
    language, _ = load_language(zoo.language(family), dtype=torch.float32)
    config = language.model.config.to_dict()
    parameters = sum(p.numel() for p in language.model.parameters())
    with torch.no_grad():
        ids = torch.randint(5, 100, (2, TOKENS))
        language.model.set_attn_implementation("eager")
        cache = language.model(input_ids=ids, use_cache=True).past_key_values
    held = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers) * 4
    needs = inference_memory(config, parameters=parameters, precision="float32", tokens=TOKENS, batch=2)
    assert (needs.cache, needs.weights) == (held, parameters * 4)
    assert add_lora(language, r=4, alpha=8, dropout=0.0) == DecoderShape.of(config).lora_parameters(4)


def test_what_saves_memory_does():
    config, asked = stored_configs()["qwen_7b"], {"parameters": 7_615_616_512, "tokens": 1024}
    base = training_memory(config, precision="bfloat16", **asked)
    assert training_memory(config, precision="nf4", **asked).total < 0.6 * base.total
    assert (
        training_memory(config, precision="bfloat16", checkpointing=True, **asked).activations < 0.2 * base.activations
    )
    whole = training_memory(config, precision="bfloat16", lora_r=None, **asked)
    assert whole.trained == 16 * 7_615_616_512 and whole.total > 5 * base.total
    assert base.weights == BYTES["bfloat16"] * 7_615_616_512
