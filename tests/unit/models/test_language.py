"""The language model: its logits are Hugging Face's own."""

import pytest
import torch

from panollava.data.pack import pack
from panollava.errors import ModelError
from panollava.models.language import choose_attention, load_language
from panollava.text.chat import IGNORE_INDEX, chat_format

FAMILIES = ("qwen2", "qwen3", "llama", "smollm3", "gemma2", "gemma3")
TURNS = [("what is behind you?", "the red ball"), ("where is the cube?", "front right")]


@pytest.fixture
def load(zoo):
    def load(family, dtype=torch.float32):
        model, tokenizer = load_language(zoo.language(family), dtype=dtype)
        return model.eval(), chat_format(tokenizer)

    return load


@torch.no_grad()
def logits(language, chat):
    text = pack(chat, [TURNS], vision_tokens=0)
    return language.supervised_logits(language.embed(text.ids), text)[0]


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_supervised_logits_are_the_models_own_at_those_rows(load, family):
    """Gemma 2 scales its embeddings and caps its attention scores and its logits: none may be lost or done twice."""
    language, chat = load(family)
    text = pack(chat, [TURNS[:1]], vision_tokens=0)
    mine, labels = language.supervised_logits(language.embed(text.ids), text)
    own = language.model(input_ids=text.ids).logits[0]
    wanted = (text.labels[0, 1:] != IGNORE_INDEX).nonzero()[:, 0]
    assert torch.equal(labels, text.labels[0, 1:][wanted])
    assert mine.std() > 0.1 and mine.dtype == torch.float32
    torch.testing.assert_close(mine, own[wanted], rtol=1e-4, atol=1e-5)


def test_gemma2_caps_its_logits(load):
    language, chat = load("gemma2")
    assert logits(language, chat).abs().max() < 3.0
    language.model.config.final_logit_softcapping = None
    assert logits(language, chat).abs().max() > 3.0


@pytest.mark.parametrize(
    ("kind", "wanted", "chosen"),
    [("qwen2", "auto", "sdpa"), ("gemma2", "auto", "eager"), ("gemma2", "eager", "eager"), ("llama", "eager", "eager")],
)
def test_attention_is_what_the_architecture_can(kind, wanted, chosen):
    assert choose_attention(kind, wanted) == chosen


def test_attention_that_the_architecture_cannot_do_is_refused():
    with pytest.raises(ModelError, match="gemma2 runs with eager attention only, not 'sdpa'"):
        choose_attention("gemma2", "sdpa")


def test_the_tokenizer_is_the_one_in_the_folder(load, zoo, tokenizer_of):
    """Beside a qwen2 config.json, AutoTokenizer takes Qwen2's pre-tokenizer instead of the saved one."""
    _, chat = load("qwen2")
    text = "is there a red ball? 12345"
    assert chat.tokenizer.encode(text) == tokenizer_of("qwen2").encode(text)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nothing.*cannot be loaded.*Give language.model a folder"):
        load_language(tmp_path / "nothing", dtype=torch.float32)


def test_an_encoder_is_no_language_model(zoo):
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_language(zoo.vision("siglip"), dtype=torch.float32)
