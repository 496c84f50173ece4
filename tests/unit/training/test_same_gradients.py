"""Packed and unpacked, cached and uncached: the same loss and the same gradients.

Tolerance: relative 1e-4 and absolute 1e-6 in float32, sums in another order; kept features are equal to the bit.
"""

import pytest
import torch
from torch import nn

from panollava.data.dataset import conversations
from panollava.data.views import stacked_views
from panollava.models.protocol import PanoramaBatch
from panollava.training.feeds import feature_store
from panollava.training.freeze import set_trainable

TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}
TRAINS = ("resampler", "projector", "position", "adapter")


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def taught(tiny_model, tiny_config, panoramas, tmp_path):
    """Return a maker of (model, kept features, paths, talks), the same for every call but for the family."""

    def make(language):
        model = tiny_model(language=language, adapter=True)
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # an adapter of zeros would hide half of the gradients
                nn.init.normal_(parameter, std=0.02)
        set_trainable(model, TRAINS, vision_blocks=0)
        rows = panoramas("train")[:3]
        talks = [talk[: 4 - k] for k, talk in enumerate(conversations([row.samples for row in rows]))]
        store = feature_store(model, tiny_config(f"paths.data={tmp_path}", language=language))
        return model, store, [row.image for row in rows], talks

    return make


@pytest.mark.parametrize("language", ["qwen2", "llama", "gemma2", "gemma3"])
def test_packed_rows_with_kept_features_train_as_single_rows_with_encoded_views(taught, language):
    model, store, images, talks = taught(language)
    store.fill(images)
    ours = model.loss(PanoramaBatch(store.get(images), model.pack(talks)))
    ours.loss.backward()
    packed = gradients(model)
    model.zero_grad(set_to_none=True)
    total, count = torch.zeros(()), 0
    for image, talk in zip(images, talks, strict=True):
        for pair in talk:
            single = PanoramaBatch(None, model.pack([[pair]]), stacked_views([image], model.layout))
            answer = model.loss(single)
            (answer.loss * answer.tokens / ours.tokens).backward()
            total, count = total + answer.loss.detach() * answer.tokens, count + answer.tokens
    assert count == ours.tokens and len(talks[0]) > len(talks[2])
    torch.testing.assert_close(ours.loss.detach(), total / count, **TOLERANCE)
    single = gradients(model)
    assert set(packed) == set(single) and any("lora_A" in name for name in packed)
    for name, grad in packed.items():
        torch.testing.assert_close(grad, single[name], msg=lambda text, name=name: f"{name}: {text}", **TOLERANCE)


def test_kept_features_give_the_same_bits(taught):
    found = []
    for kept in (True, False):
        model, store, images, talks = taught("qwen2")
        views = None if kept else stacked_views(images, model.layout)
        if kept:
            store.fill(images)
        result = model.loss(PanoramaBatch(store.get(images) if kept else None, model.pack(talks), views))
        result.loss.backward()
        found.append((result.loss.detach(), gradients(model)))
    (loss, grads), (other, others) = found
    assert torch.equal(loss, other) and set(grads) == set(others)
    assert all(torch.equal(grads[name], others[name]) for name in grads)


def test_half_precision_features_change_the_loss_little(taught, tiny_config, tmp_path):
    model, store, images, talks = taught("qwen2")
    half = feature_store(model, tiny_config(f"paths.data={tmp_path}", "data.cache_dtype=bfloat16"))
    text = model.pack(talks)
    with torch.no_grad():
        exact, rounded = (model.loss(PanoramaBatch(s.get(images), text)).loss for s in (store, half))
    assert exact != rounded
    torch.testing.assert_close(rounded, exact, rtol=1e-2, atol=0)
