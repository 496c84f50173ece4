"""From a checkpoint to what other tools load: the adapter alone, and the merged language model."""

import pytest
import torch

from panollava.checkpoints.adapter import export_checkpoint_adapter, export_merged_language
from panollava.checkpoints.format import load_checkpoint
from panollava.cli import main
from panollava.errors import CheckpointError, ModelError
from panollava.models.language import load_language


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=torch.arange(5, 40)[None]).logits.float()


@pytest.fixture
def wanted(three_stages):
    """Return the logits of the trained language model with its adapter."""
    model, _ = load_checkpoint(three_stages.checkpoint)
    return logits(model.language.model)


def test_peft_puts_the_exported_adapter_on_the_base(three_stages, wanted, tmp_path, zoo, capsys):
    from peft import PeftConfig, PeftModel
    from transformers import AutoModelForCausalLM

    assert main(["adapter", "export", str(three_stages.run_dir), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    base = PeftConfig.from_pretrained(tmp_path / "out").base_model_name_or_path
    assert base == str(zoo.language("qwen2"))
    plain = AutoModelForCausalLM.from_pretrained(base, attn_implementation="sdpa")
    before = logits(plain)
    after = logits(PeftModel.from_pretrained(plain, tmp_path / "out"))
    torch.testing.assert_close(after, wanted, rtol=1e-4, atol=1e-4)
    assert (after - before).abs().max() > 1e-3


def test_the_merged_folder_is_a_language_model_like_any_other(three_stages, wanted, tmp_path, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert main(["adapter", "merge", str(three_stages.checkpoint), str(tmp_path / "out")]) == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", attn_implementation="sdpa")
    torch.testing.assert_close(logits(model), wanted, rtol=1e-4, atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    ours, tokenizer = load_language(tmp_path / "out", dtype=torch.float32)
    torch.testing.assert_close(logits(ours.model), wanted, rtol=1e-4, atol=1e-4)
    own = load_checkpoint(three_stages.checkpoint)[0].chat.tokenizer
    assert tokenizer.encode("is there a red ball? 12345") == own.encode("is there a red ball? 12345")


def test_a_checkpoint_without_an_adapter_and_a_full_folder_are_refused(three_stages, tmp_path):
    early = three_stages.run_dir / "resampler" / "last"
    for act in (export_checkpoint_adapter, export_merged_language):
        with pytest.raises(ModelError, match="has no adapter; train a stage"):
            act(early, tmp_path / "none")
        with pytest.raises(CheckpointError, match=r"is not an empty folder; give another"):
            act(three_stages.checkpoint, three_stages.run_dir)


@pytest.mark.parametrize("option", ["lora.dora=true", "lora.rslora=true", "lora.modules_to_save=[lm_head,norm]"])
def test_a_checkpoint_of_every_kind_of_adapter_loads_again(tiny_config, panoramas, tmp_path, option):
    from panollava.models.build import build_model
    from panollava.training.stages import run_stage

    cfg = tiny_config(option, language="llama")
    model = build_model(cfg)
    outcome = run_stage(
        model, cfg.stage("finetune"), cfg, train=panoramas("train"), val=(), run_dir=tmp_path, trained=set()
    )
    again, meta = load_checkpoint(tmp_path / "finetune" / "last")
    assert torch.equal(logits(again.language.model), logits(model.language.model))
    assert "adapter" in meta.components and "language" in meta.base
    adapter = {n: p for c, n, p in again.component_parameters() if c == "adapter"}
    assert sum(p.numel() for p in adapter.values()) == outcome.trainable["adapter"]
    assert any("modules_to_save" in n for n in adapter) == ("modules_to_save" in option)
    assert any("magnitude" in n for n in adapter) == ("dora" in option)


def test_a_quantised_base_is_trained_saved_and_loaded(tiny_config, panoramas, tmp_path):
    pytest.importorskip("bitsandbytes")
    from panollava.models.build import build_model
    from panollava.training.stages import run_stage

    cfg = tiny_config("language.quantization=nf4")
    model = build_model(cfg)
    run_stage(model, cfg.stage("finetune"), cfg, train=panoramas("train"), val=(), run_dir=tmp_path, trained=set())
    again, _ = load_checkpoint(tmp_path / "finetune" / "last")
    assert torch.equal(logits(again.language.model), logits(model.language.model))
    export_checkpoint_adapter(tmp_path / "finetune" / "last", tmp_path / "out")
    with pytest.raises(ModelError, match="quantised base cannot be merged"):
        export_merged_language(tmp_path / "finetune" / "last", tmp_path / "merged")
