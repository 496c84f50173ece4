"""The composed model, for every family of encoders and language models."""

import itertools

import numpy as np
import pytest
import torch

from panollava.errors import ModelError
from panollava.models.vlm import PanoramaBatch

ENCODERS = ("siglip", "siglip2", "clip", "dinov2", "dinov3", "vit")
LANGUAGES = ("qwen2", "qwen3", "llama", "smollm3", "gemma2", "gemma3")
TALK = [[("what is behind you?", "the ball"), ("is there a cube?", "no")], [("where is the ball?", "left")]]


@pytest.fixture
def batch_for(pixels):
    def make(model, talk=TALK, *, seed=0):
        with torch.no_grad():
            features = model.encode(pixels(model, len(talk), seed=seed))
        return PanoramaBatch(features, model.pack(talk))

    return make


@pytest.mark.parametrize(("vision", "language"), list(itertools.product(ENCODERS, LANGUAGES)))
def test_every_pair_takes_a_training_step_and_speaks(tiny_model, batch_for, vision, language):
    from panollava.training.freeze import set_trainable

    model = tiny_model(vision=vision, language=language, adapter=True)
    trains = ("resampler", "projector", "position", "adapter")
    set_trainable(model, trains, vision_blocks=0)
    batch = batch_for(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    result = model.loss(batch)
    result.loss.backward()
    assert torch.isfinite(result.loss)
    assert result.tokens == batch.text.supervised_tokens
    touched = {c for c, _, p in model.component_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert touched == set(trains)
    optimizer.step()
    with torch.no_grad():
        assert model.loss(batch).loss != result.loss.detach()
    answers = model.generate(batch.features, [(0, "what?"), (1, "where is it?")], max_new_tokens=3)
    assert len(answers) == 2 and all(isinstance(a, str) for a in answers)


@pytest.mark.parametrize("language", LANGUAGES)
@torch.no_grad()
def test_the_answer_is_what_training_would_have_called_likeliest(tiny_model, batch_for, language):
    """Greedy decoding, step by step, is the argmax of the training logits: one path from pixels to words."""
    model = tiny_model(language=language, adapter=True)
    features = batch_for(model).features
    one = tuple(f[1:] for f in features)
    [said] = model.generate(features, [(1, "where?")], max_new_tokens=6)
    ids = []
    for _ in range(6):
        text = model.pack([[("where?", "")]])
        if ids:  # the words said so far stand before the end of the turn, which asks for the next word
            tail = torch.tensor([[*text.ids[0, :-1].tolist(), *ids, model.chat.stop_id]])
            labels = torch.full_like(tail, -100)
            labels[0, -1] = model.chat.stop_id
            text = type(text)(tail, labels, torch.arange(tail.shape[1])[None], _segments(text, tail))
        logits, _ = model.supervised_logits(PanoramaBatch(one, text))
        ids.append(int(logits[-1].argmax()))
        if ids[-1] == model.chat.stop_id:
            break
    assert said == model.chat.decode(ids)


def _segments(text, longer):
    extra = longer.shape[1] - text.segments.shape[1]
    return torch.cat([text.segments, torch.ones(1, extra, dtype=text.segments.dtype)], dim=1)


@torch.no_grad()
def test_a_models_own_generation_config_changes_no_answer(tiny_model, batch_for, zoo, tmp_path):
    """Qwen 2.5 ships a repetition penalty: an answer is decided by the configuration and by nothing else."""
    import shutil

    from transformers import GenerationConfig

    plain = tiny_model(language="llama")
    folder = tmp_path / "penalised"
    shutil.copytree(zoo.language("llama"), folder)
    GenerationConfig(
        repetition_penalty=9.0, no_repeat_ngram_size=1, do_sample=True, top_k=3, suppress_tokens=[50]
    ).save_pretrained(folder)
    penalised = tiny_model(f"language.model={folder}", language="llama")
    features = batch_for(plain).features
    questions = [(0, "where?"), (1, "what is behind?"), (0, "is it red?")]
    assert penalised.generate(features, questions, max_new_tokens=12) == plain.generate(
        features, questions, max_new_tokens=12
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_does_not_depend_on_its_batch(tiny_model, batch_for, language):
    """Short prompts are padded on the left beside long ones."""
    model = tiny_model(language=language)
    features = batch_for(model).features
    questions = [(0, "where?"), (1, "what is to the left of the red ball, behind the cube and above you?"), (1, "up?")]
    together = model.generate(features, questions, max_new_tokens=8)
    alone = [model.generate(features, [q], max_new_tokens=8)[0] for q in questions]
    assert together == alone
    assert len(set(together)) > 1


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"temperature": 1e-4}])
def test_beams_and_samples_do_not_depend_on_the_batch_either(tiny_model, batch_for, options):
    """At a temperature of next to nothing a sample is the greedy answer."""
    model = tiny_model(language="llama")
    features = batch_for(model).features
    questions = [(0, "where?"), (1, "what is to the left of the red ball, behind the cube and above you?"), (1, "up?")]
    together = model.generate(features, questions, max_new_tokens=5, **options)
    assert together == [model.generate(features, [q], max_new_tokens=5, **options)[0] for q in questions]
    if "temperature" in options:
        assert together == model.generate(features, questions, max_new_tokens=5)


def test_a_temperature_varies_the_answer_by_seed(tiny_model, batch_for):
    model = tiny_model(language="llama")
    features = batch_for(model).features

    def say(seed):
        torch.manual_seed(seed)
        return model.generate(features, [(0, "where?")], max_new_tokens=6, temperature=1.5)

    assert say(1) == say(1)
    assert len({say(seed)[0] for seed in range(5)}) > 1


@pytest.mark.parametrize("position", ["ray", "panorope"])
@pytest.mark.parametrize("attention", ["auto", "eager"])
def test_a_sample_is_a_function_of_its_seed_and_question(tiny_model, batch_for, position, attention):
    """Neither of the batch, nor of the order, nor of PyTorch's generator; "eager" reads copies of the prefix."""
    model = tiny_model(f"position.kind={position}", "position.harmonics=8", f"language.attention={attention}")
    features = batch_for(model).features
    questions = [(0, "where?"), (1, "what is to the left of the red ball, behind the cube?"), (1, "up?"), (0, "where?")]
    seeds = [11, 12, 13, 14]
    options = {"max_new_tokens": 6, "temperature": 1.3}
    said = model.generate(features, questions, seeds=seeds, **options)
    for size in (1, 3):
        assert model.generate(features, questions, seeds=seeds, batch_size=size, **options) == said
    turned = model.generate(features, questions[::-1], seeds=seeds[::-1], **options)
    assert turned[::-1] == said
    assert said[0] != said[3]  # the same question by another seed


def test_sampled_tokens_have_the_shares_of_the_softmax():
    from panollava.models.decode import Sampling, _pick

    logits, count = torch.tensor([1.0, -0.5, 0.3, -9.0]), 4000
    drawn = _pick(Sampling(0.8, range(count)), 0, count)(logits.expand(count, -1), step=2)
    shares = torch.bincount(drawn[:, 0], minlength=4) / count
    assert (shares - (logits / 0.8).softmax(0)).abs().max() < 4 * (0.25 / count) ** 0.5


def test_beams_are_not_sampled(tiny_model):
    with pytest.raises(ModelError, match=r"num_beams is 2 and generation\.temperature 0\.5: beams are not sampled"):
        tiny_model(blind=True).generate(None, [(0, "a?")], num_beams=2, temperature=0.5)


def test_nothing_asked_nothing_said(tiny_model):
    assert tiny_model(blind=True).generate(None, []) == []


def test_a_blind_model_answers_without_a_panorama(tiny_model):
    model = tiny_model(blind=True)
    batch = PanoramaBatch(None, model.pack(TALK))
    assert torch.isfinite(model.loss(batch).loss)
    assert len(model.generate(None, [(0, "where?")], max_new_tokens=2)) == 1


@torch.no_grad()
def test_the_answer_depends_on_the_panorama(tiny_model, batch_for):
    model = tiny_model()
    one, two = (model.supervised_logits(batch_for(model, seed=s))[0] for s in (0, 1))
    assert (one - two).abs().max() > 1e-3


@pytest.mark.parametrize("override", ["views.kind=e2p", "views.kind=anyres", "views.kind=resize"])
def test_a_token_has_the_ray_of_its_pooled_patch(tiny_model, override):
    model = tiny_model(override)
    views = [model.layout.views[i] for g in model.layout.groups() for i in g.indices]
    wanted = np.concatenate([v.rays(v.height_px // 16, v.width_px // 16).reshape(-1, 3) for v in views])
    np.testing.assert_allclose(model.rays.numpy(), wanted, atol=1e-6)
    assert model.token_count == len(wanted)


def test_a_latent_has_the_ray_of_its_views_centre(tiny_model):
    model = tiny_model(
        "resampler.kind=perceiver", "resampler.queries=3",
        "stages.vision.trains=[vision]", "stages.vision.lr.resampler=null",
    )  # fmt: skip
    views = [model.layout.views[i] for g in model.layout.groups() for i in g.indices]
    wanted = np.concatenate([np.repeat(v.rays(1, 1).reshape(1, 3), 3, axis=0) for v in views])
    np.testing.assert_allclose(model.rays.numpy(), wanted, atol=1e-6)


@torch.no_grad()
def test_tokens_and_rays_are_in_the_same_order(tiny_model, pixels):
    """Change the pixels of one view: exactly the tokens whose rays lie in that view change."""
    model = tiny_model()
    views = pixels(model, 1)
    before = model.vision_tokens(model.encode(views))[0]
    number = 3
    ring = views[0].clone()
    ring[0, number] = 255 - ring[0, number]
    after = model.vision_tokens(model.encode((ring, views[1])))[0]
    changed = (after - before).abs().amax(dim=1) > 0
    view = model.layout.views[model.layout.groups()[0].indices[number]]
    own = torch.from_numpy(view.rays(2, 2).reshape(-1, 3)).float()
    mine = torch.cdist(model.rays, own).amin(dim=1) < 1e-5
    assert torch.equal(changed, changed & mine) and int(changed.sum()) == 4


@torch.no_grad()
def test_position_tells_equal_views_apart(tiny_model, pixels):
    model = tiny_model()
    views = tuple(torch.full_like(v, 90) for v in pixels(model, 1))
    with_position = model.vision_tokens(model.encode(views))[0]
    model.position = None
    without = model.vision_tokens(model.encode(views))[0]
    torch.testing.assert_close(without[:4], without[4:8])
    assert not torch.allclose(with_position[:4], with_position[4:8], atol=1e-3)


@torch.no_grad()
def test_the_panoramas_of_a_batch_do_not_mix(tiny_model, batch_for):
    model = tiny_model()
    both = batch_for(model)
    second = PanoramaBatch(tuple(f[1:] for f in both.features), model.pack(TALK[1:]))
    logits, _ = model.supervised_logits(both)
    alone, _ = model.supervised_logits(second)
    torch.testing.assert_close(logits[-len(alone) :], alone, rtol=1e-4, atol=1e-5)


def test_vision_tokens_start_at_the_length_of_words(tiny_model, batch_for):
    model = tiny_model("position.kind=none", language="llama")
    with torch.no_grad():
        tokens = model.vision_tokens(batch_for(model).features)
    assert float(tokens.square().mean().sqrt()) == pytest.approx(model.language.embedding_rms(), rel=0.01)


def test_a_rectangular_view_keeps_its_rows_and_columns(tiny_model, pixels):
    model = tiny_model()
    assert model.grids() == ((4, 4), (4, 8))
    with torch.no_grad():
        assert [tuple(f.shape) for f in model.encode(pixels(model, 2))] == [(2, 8, 4, 4, 32), (2, 1, 4, 8, 32)]
