"""What ships as package data: small, described by its recipe, and never shown a scene that tests."""

import hashlib
import json
from itertools import islice

import numpy as np
import pytest
import torch
from safetensors import safe_open

from panollava.data.synthetic.questions import QuestionSampler
from panollava.embedded import LANGUAGE, ROOT, VISION
from panollava.embedded.corpus import PRETRAIN_SEED, conversation, glimpses, training_scenes
from panollava.embedded.pretrain import RECIPE, pretrain_quick
from panollava.embedded.pretrain_language import make_batch, pool_words, start_associative
from panollava.models.language import load_language
from panollava.models.vision import load_vision
from panollava.text.chat import chat_format

MIB = 1024 * 1024


def test_the_weights_are_small_and_safetensors():
    files = [f for part in (LANGUAGE, VISION) for f in part.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 12 * MIB
    assert {f.suffix for f in files} <= {".json", ".jinja", ".safetensors"}


def test_the_recipe_names_every_file_and_its_hash():
    recipe = json.loads((ROOT / RECIPE).read_text(encoding="utf-8"))
    files = {str(f.relative_to(ROOT)): f for part in (LANGUAGE, VISION) for f in part.rglob("*") if f.is_file()}
    assert {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in files.items()} == recipe["sha256"]
    assert "licence" in recipe


def test_no_weight_is_broken():
    for folder in (LANGUAGE, VISION):
        with safe_open(folder / "model.safetensors", framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - not a dict
                assert torch.isfinite(stored.get_tensor(name).float()).all(), name


def test_pretraining_never_sees_a_scene_that_validates_or_tests():
    scenes = list(islice(training_scenes(), 200))
    assert {scene.split for scene in scenes} == {"train"}
    assert max(scene.index for scene in scenes) > 220  # some were passed over


def test_the_tokenizer_holds_the_words_of_the_task_as_single_tokens():
    _, tokenizer = load_language(LANGUAGE, dtype=torch.float32)
    for word in ("cube", "behind", "045", "striped", "nothing"):
        assert len(tokenizer.encode(word, add_special_tokens=False)) == 1, word
    said = "What is BEHIND me, caf\u00e9 \u2603?"
    assert tokenizer.decode(tokenizer.encode(said, add_special_tokens=False)).strip() == said.lower()


def test_encoder_and_language_model_load_in_float32():
    language, _ = load_language(LANGUAGE, dtype=torch.float32)
    vision = load_vision(VISION, dtype=torch.float32)
    assert {p.dtype for p in [*language.parameters(), *vision.parameters()]} == {torch.float32}
    assert vision.contract.image_px % vision.contract.patch_px == 0


def test_a_pooled_phrase_is_the_sum_of_its_words_over_the_root_of_their_number():
    language, tokenizer = load_language(LANGUAGE, dtype=torch.float32)
    chat = chat_format(tokenizer)
    one, two, both = pool_words(chat, language, [["red"], ["cube"], ["red", "cube"]])
    torch.testing.assert_close(both, (one + two) / 2**0.5)


def test_a_batch_has_a_glimpse_for_every_placeholder_and_answers_behind_them():
    language, tokenizer = load_language(LANGUAGE, dtype=torch.float32)
    scenes = list(islice(training_scenes(), 2))
    embeddings, text = make_batch(chat_format(tokenizer), language, QuestionSampler(PRETRAIN_SEED), scenes)
    assert embeddings.shape[:2] == text.ids.shape
    assert torch.isfinite(embeddings).all()
    assert text.supervised_tokens > 50


def test_glimpses_tell_every_object_and_where_it_is():
    scene = next(iter(training_scenes()))
    bags = glimpses(scene, np.random.default_rng(0))
    for item in scene.objects:
        assert any(sum(word in bag for word in (item.colour, item.shape, item.size)) >= 2 for bag in bags)


def test_captions_take_turns():
    scenes = list(islice(training_scenes(), 12))
    kinds = [{q.kind for q in conversation(QuestionSampler(1), scene, questions=1)} for scene in scenes]
    assert any("caption" in k for k in kinds)
    assert any("caption_direction" in k for k in kinds)
    assert not any({"caption", "caption_direction"} <= k for k in kinds)


def test_associative_start_makes_like_attend_to_like():
    language, _ = load_language(LANGUAGE, dtype=torch.float32)
    start_associative(language.model)
    attention = language.model.model.layers[0].self_attn
    assert torch.equal(attention.q_proj.weight, attention.k_proj.weight)
    torch.testing.assert_close(attention.o_proj.weight, 0.02 * attention.v_proj.weight.T)


@pytest.mark.slow
def test_the_recipe_runs_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("panollava.embedded.pretrain_vision.POOL_SCENES", 12)
    pretrain_quick(tmp_path)
    assert (tmp_path / RECIPE).is_file()
    language, tokenizer = load_language(tmp_path / "language", dtype=torch.float32)
    assert language.model.config.vocab_size == len(tokenizer)
    load_vision(tmp_path / "vision", dtype=torch.float32)
