"""Adapters: each starts as nothing, PEFT reads what we export, and a merged model says what the adapter said."""

import json

import pytest
import torch

from panollava.data.pack import pack
from panollava.errors import ModelError
from panollava.models.adapter import add_lora, export_adapter, is_adapter, merged
from panollava.models.language import load_language
from panollava.models.quantize import quantize
from panollava.text.chat import chat_format

FAMILIES = ("qwen2", "qwen3", "llama", "smollm3", "gemma2", "gemma3")
TURNS = [("what is behind you?", "the red ball"), ("where is the cube?", "front right")]
METHODS = {"lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}, "both": {"rslora": True, "dora": True}}


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


@torch.no_grad()
def own_logits(model):
    """Return a Hugging Face model's logits of fixed ids."""
    return model.eval()(input_ids=torch.arange(5, 40)[None]).logits.float()


def names(language):
    return {n for n, _ in language.named_parameters() if is_adapter(n)}


@torch.no_grad()
def stir(language, seed=0):
    """Give every adapter weight a value, as training would."""
    random = torch.Generator().manual_seed(seed)
    for name, p in language.named_parameters():
        if is_adapter(name):
            p.add_(0.05 * torch.randn(p.shape, generator=random))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_adapter_changes_nothing_and_covers_every_linear_layer(load, family):
    language, chat = load(family)
    before = logits(language, chat)
    count = add_lora(language, r=4, alpha=8, dropout=0.5)
    torch.testing.assert_close(logits(language, chat), before, rtol=1e-5, atol=1e-6)
    assert count == sum(p.numel() for n, p in language.named_parameters() if is_adapter(n)) > 0
    adapted = {n.split(".lora_")[0].rsplit(".", 1)[1] for n in names(language)}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_starts_as_nothing_and_all_of_it_trains(load, method):
    language, chat = load("qwen2")
    before = logits(language, chat)
    add_lora(language, r=4, alpha=8, dropout=0.0, **METHODS[method])
    torch.testing.assert_close(logits(language, chat), before, rtol=1e-5, atol=1e-5)
    stir(language)
    text = pack(chat, [TURNS], vision_tokens=0)
    language.supervised_logits(language.embed(text.ids), text)[0].pow(2).mean().backward()
    grads = {n: p.grad for n, p in language.named_parameters() if is_adapter(n)}
    assert all(g is not None and g.abs().sum() > 0 for g in grads.values())
    assert any("magnitude" in n for n in grads) == ("dora" in METHODS[method])


def test_the_scale_is_alpha_over_r_or_over_its_root(load):
    def moved(r, rslora):
        language, chat = load("llama")
        before = logits(language, chat)
        add_lora(language, r=r, alpha=4, dropout=0.0, target_modules=["v_proj"], rslora=rslora)
        with torch.no_grad():
            for name, p in language.named_parameters():
                if is_adapter(name):
                    p.fill_(1e-3)
        return logits(language, chat) - before

    # B A grows as r: with alpha / r the update stays as it is, with alpha / sqrt(r) it doubles from 4 to 16
    torch.testing.assert_close(moved(16, False), moved(4, False), rtol=0.05, atol=1e-4)
    torch.testing.assert_close(moved(16, True), 2 * moved(4, True), rtol=0.05, atol=1e-4)
    assert moved(16, True).abs().max() > 1.5 * moved(16, False).abs().max() > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("saved", [(), ("lm_head", "norm")])
def test_peft_reads_what_is_exported(load, zoo, tmp_path, method, saved):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    language, _ = load("llama")
    add_lora(language, r=4, alpha=8, dropout=0.1, modules_to_save=saved, **METHODS[method])
    stir(language)
    base = own_logits(AutoModelForCausalLM.from_pretrained(zoo.language("llama")))
    export_adapter(language.eval(), tmp_path / "adapter", base=str(zoo.language("llama")))
    plain = AutoModelForCausalLM.from_pretrained(zoo.language("llama"), attn_implementation="sdpa")
    theirs = own_logits(PeftModel.from_pretrained(plain, tmp_path / "adapter"))
    mine = own_logits(language.model)
    torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-4)
    assert (theirs - base).abs().max() > 0.1
    told = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == str(zoo.language("llama"))
    assert {p.name for p in (tmp_path / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}


@pytest.mark.parametrize(("family", "saved"), [("qwen2", ()), ("qwen2", ("lm_head",)), ("llama", ("norm",))])
@pytest.mark.parametrize("method", ["lora", "both"])
def test_a_merged_model_says_what_the_adapter_said(load, tmp_path, family, saved, method):
    from transformers import AutoModelForCausalLM

    language, _ = load(family)
    before = own_logits(language.model)
    add_lora(language, r=4, alpha=8, dropout=0.0, modules_to_save=saved, **METHODS[method])
    stir(language)
    wanted = own_logits(language.model)
    assert (wanted - before).abs().max() > 0.1
    model = merged(language)
    torch.testing.assert_close(own_logits(model), wanted, rtol=1e-4, atol=1e-4)
    model.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", attn_implementation="sdpa")
    torch.testing.assert_close(own_logits(again), wanted, rtol=1e-4, atol=1e-4)
    assert not [n for n, _ in again.named_parameters() if is_adapter(n) or "base_layer" in n]
    assert again.config.tie_word_embeddings == (family == "qwen2" and not saved)  # a head of its own is not tied
    assert torch.equal(own_logits(language.model), wanted)  # merging changed a copy


@pytest.mark.parametrize("saved", [(), ("norm", "lm_head")])
def test_the_tolerance_of_a_merged_half_precision_model(load, saved):
    language, _ = load("qwen2", dtype=torch.bfloat16)
    add_lora(language, r=4, alpha=8, dropout=0.0, modules_to_save=saved)
    stir(language)
    wanted, got = own_logits(language.model), own_logits(merged(language))
    assert (got - wanted).pow(2).mean().sqrt() < 5e-2 * wanted.std()


def test_what_trains_in_a_half_precision_model_is_float32(load):
    """Steps of 1e-4 vanish in bfloat16: what trains is float32 whatever the frozen base is."""
    language, chat = load("qwen2", dtype=torch.bfloat16)
    before = logits(language, chat)
    add_lora(language, r=2, alpha=4, dropout=0.0, modules_to_save=["norm", "lm_head"])
    assert {p.dtype for n, p in language.named_parameters() if is_adapter(n)} == {torch.float32}
    assert language.dtype == torch.bfloat16
    torch.testing.assert_close(logits(language, chat), before, rtol=0.05, atol=0.05)


def test_modules_to_save_are_copies_beside_the_frozen_originals(load):
    language, _ = load("llama")
    add_lora(language, r=2, alpha=4, dropout=0.0, modules_to_save=["lm_head"])
    saved = [n for n in names(language) if "modules_to_save" in n]
    assert saved == ["model.lm_head.modules_to_save.default.weight"]
    state = dict(language.named_parameters())
    original = state["model.lm_head.original_module.weight"]
    assert torch.equal(state[saved[0]], original) and state[saved[0]].data_ptr() != original.data_ptr()
    assert not is_adapter("model.lm_head.original_module.weight")


def test_wrong_names_and_second_adapters_are_refused(load):
    language, _ = load("qwen2")
    with pytest.raises(ModelError, match=r"no module named \['nowhere'\]"):
        add_lora(language, r=2, alpha=4, dropout=0.0, target_modules=["nowhere"])
    with pytest.raises(ModelError, match=r"modules_to_save names 'nothing'.*it has, among others, .*down_proj"):
        add_lora(load("qwen2")[0], r=2, alpha=4, dropout=0.0, modules_to_save=["nothing"])
    for act in (merged, lambda m: export_adapter(m, None, base="")):
        with pytest.raises(ModelError, match="has no adapter; train a stage"):
            act(load("llama")[0])
    whole, _ = load("qwen2")
    add_lora(whole, r=2, alpha=4, dropout=0.0, target_modules="q_proj")
    assert {n.split(".lora_")[0].rsplit(".", 1)[1] for n in names(whole)} == {"q_proj"}
    with pytest.raises(ModelError, match="has a LoRA adapter already"):
        add_lora(whole, r=2, alpha=4, dropout=0.0)


@pytest.mark.parametrize(("kind", "close"), [("nf4", 0.7), ("int8", 0.99)])
def test_a_quantised_base_is_nearly_the_base_and_its_adapter_trains(load, kind, close):
    pytest.importorskip("bitsandbytes")
    language, chat = load("llama")
    before = logits(language, chat)
    assert quantize(language, kind=kind) == 2 * 7
    after = logits(language, chat)
    agreement = torch.nn.functional.cosine_similarity(before.flatten(), after.flatten(), dim=0)
    assert close < float(agreement) and not torch.equal(before, after)
    add_lora(language, r=4, alpha=8, dropout=0.0)
    stir(language)
    text = pack(chat, [TURNS], vision_tokens=0)
    language.supervised_logits(language.embed(text.ids), text)[0].pow(2).mean().backward()
    assert all(p.grad.abs().sum() > 0 for n, p in language.named_parameters() if is_adapter(n))
    with pytest.raises(ModelError, match=r"quantised base cannot be merged.*panollava adapter export"):
        merged(language)


def test_without_bitsandbytes_the_way_out_is_named(load, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(
        ModelError, match=r"language.quantization: nf4 needs the package bitsandbytes.*panollava\[qlora"
    ):
        quantize(load("qwen2")[0], kind="nf4")
