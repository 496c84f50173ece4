"""What each verb makes of its arguments. The work behind a verb is replaced by a recorder."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from panollava.cli import main
from panollava.cli.models_ask import parse_choice
from panollava.cli.train import pick_stages
from panollava.config import list_presets, load_config
from panollava.errors import ConfigError

ROOT = Path(__file__).parents[3]
TINY = str(ROOT / "configs" / "tiny.yaml")


@pytest.fixture
def calls(monkeypatch):
    """Replace the rooms behind the verbs; return the list of calls they get."""
    seen = []

    class ThreeStageTrainer:
        def __init__(self, config):
            self.config = config

        def run(self, *, stages=None, resume=None):
            seen.append(("train", self.config, stages, resume))
            return "runs/tiny/finetune/last"

    class EvaluationRunner:
        def __init__(self, config):
            self.config = config

        def run(self, *, checkpoint_dir=None, csv=None):
            seen.append(("eval", self.config, checkpoint_dir, csv))
            return {"scores of": checkpoint_dir}

    class Session:
        @classmethod
        def load(cls, checkpoint, *, settings=()):
            seen.append(("load", checkpoint, *settings))
            return cls()

        def ask(self, image, question):
            return f"answer to {question}"

    def module(name, **members):
        new = ModuleType(name)
        new.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, new)

    module("panollava.workflow", ThreeStageTrainer=ThreeStageTrainer, EvaluationRunner=EvaluationRunner)
    module(
        "panollava.workflow.runner",
        run_experiment=lambda config, *, resume: seen.append(("run", config, resume)),
        print_scores=lambda metrics: seen.append(("print", metrics)),
    )
    module("panollava.workflow.quiet", quiet_libraries=lambda: None)
    module("panollava.inference.session", Session=Session)
    module(
        "panollava.ablation.run",
        Options=lambda **options: options,
        run_study=lambda path, *, options: seen.append(("ablate", path, options)) or 2,
        conclude=lambda study: 0,
    )
    module("panollava.data.synthetic.write", synthesize=lambda out, **o: seen.append(("synth", out, o)))
    return seen


def test_run_reads_the_file_and_the_changes(calls):
    assert main(["run", "experiment.name=other", "--config", TINY, "--set", "lora.r=4", "views.overlap=0.25"]) == 0
    ((_, config, resume),) = calls
    assert resume is None
    assert (config.experiment.name, config.lora.r, config.views.overlap) == ("other", 4, 0.25)


def test_a_wrong_setting_is_told_by_its_path(calls, capsys):
    assert main(["run", "--config", TINY, "lora.rank=4"]) == 1
    assert "tiny.yaml: lora.rank: unknown key 'rank'." in capsys.readouterr().err
    assert calls == []


def test_a_word_that_is_no_setting_is_wrong_usage(calls, capsys):
    assert main(["run", "configs/tiny.yaml"]) == 2
    assert "'configs/tiny.yaml' is no setting; write KEY=VALUE" in capsys.readouterr().err


def test_a_file_that_is_not_there(calls, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 1
    assert "configs/default.yaml: there is no such file" in capsys.readouterr().err


def test_train_some_stages(calls, capsys):
    assert main(["train", "--config", TINY, "--stage", "finetune,vision"]) == 0
    assert calls[0][2] == ["vision", "finetune"]
    assert capsys.readouterr().out == "runs/tiny/finetune/last\n"
    assert main(["train", "--config", TINY]) == 0
    assert calls[1][2] is None


def test_a_run_may_be_resumed(calls, capsys):
    assert main(["train", "--config", TINY, "--resume", "auto"]) == 0
    assert main(["run", "--config", TINY, "--resume", "never"]) == 0
    assert (calls[0][3], calls[1][2]) == ("auto", "never")
    assert main(["train", "--config", TINY, "--resume", "maybe"]) == 2


def test_train_an_unknown_stage(calls, capsys):
    assert main(["train", "--config", TINY, "--stage", "finetun"]) == 1
    assert "--stage: unknown stage 'finetun'. Did you mean 'finetune'?" in capsys.readouterr().err


def test_pick_stages_keeps_the_order_of_the_table():
    assert pick_stages(["c", "a"], available=["a", "b", "c"]) == ["a", "c"]
    assert pick_stages([], available=["a"]) is None


def test_eval_uses_the_checkpoints_configuration_unless_told(calls, capsys):
    assert main(["eval", "--checkpoint-dir", "runs/x", "--csv-input", "t.csv"]) == 0
    assert calls[0] == ("eval", None, Path("runs/x"), Path("t.csv"))
    assert calls[1] == ("print", {"scores of": Path("runs/x")})
    assert main(["eval", "--checkpoint", "runs/x", "--config", TINY]) == 0
    assert calls[2][1].experiment.name == "tiny"
    assert main(["eval", "--checkpoint", "runs/x", "lora.r=2"]) == 1
    assert "add --config FILE" in capsys.readouterr().err
    assert main(["eval"]) == 2


def test_ask_loads_once_and_answers_each_question(calls, capsys):
    assert main(["ask", "pano.jpg", "what is behind me?", "and left?", "--checkpoint", "d"]) == 0
    assert capsys.readouterr().out == "answer to what is behind me?\nanswer to and left?\n"
    assert calls == [("load", Path("d"))]
    assert main(["ask", "pano.jpg", "--checkpoint", "d"]) == 2


def test_ask_passes_on_how_the_picture_is_read(calls):
    words = ["ask", "pano.hdr", "up?", "--checkpoint", "d", "--pad", "--tone-map", "clip", "--pose", "north"]
    assert main(words) == 0
    settings = ("data.images.pad=true", 'data.images.tone_map="clip"', 'data.images.pose="north"')
    assert calls == [("load", Path("d"), *settings)]


def test_ablate(calls):
    words = ["ablate", "--config", "study.yaml", "--executor", "slurm", "--submit", "no", "--jobs", "2"]
    assert main(words) == 0
    options = {"executor": "slurm", "jobs": 2, "submit": False, "fresh": False}
    assert calls == [("ablate", Path("study.yaml"), options)]


def test_data_synth(calls):
    assert main(["data", "synth", "--out", "d", "--count", "3", "--seed", "1", "--width", "128"]) == 0
    assert calls == [("synth", Path("d"), {"count": 3, "seed": 1, "width": 128})]


def test_lora_builds_the_configuration(calls, capsys):
    words = ["lora", "--model", "qwen_0.5b", "--lora-r", "8", "--lora-alpha", "24", "--config", TINY]
    assert main(words) == 0
    verb, config, _ = calls[0]
    assert verb == "run"
    assert (config.language.model, config.lora.r, config.lora.alpha) == ("qwen_0.5b", 8, 24)
    assert config.experiment.name == "lora_qwen_0.5b_r8_a24"
    assert main([*words, "--name", "mine", "--vision-model", "siglip_base", "lora.dora=true"]) == 0
    config = calls[1][1]
    assert (config.experiment.name, config.vision.model, config.lora.dora) == ("mine", "siglip_base", True)
    assert main([*words, "experiment.name=own"]) == 0 and calls[2][1].experiment.name == "own"
    assert main([*words, "--lora-dropout", "0.1"]) == 0
    assert calls[3][1].experiment.name == "lora_qwen_0.5b_r8_a24_d0.1"


def test_lora_needs_a_stage_that_trains_the_adapter(calls, capsys):
    change = "stages.finetune={name: finetune, trains: [projector], lr: {projector: 1.0e-3}, max_steps: 2}"
    assert main(["lora", "--config", TINY, change]) == 1
    assert "no stage trains the adapter; add adapter to trains and lr" in capsys.readouterr().err
    assert calls == []


def test_lora_dry_run_prints_a_file_that_loads(calls, capsys, tmp_path):
    assert main(["lora", "--model", "qwen_0.5b", "--config", TINY, "--dry-run"]) == 0
    assert calls == []
    path = tmp_path / "lora.yaml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_config(path).language.model == "qwen_0.5b"


def test_lora_with_an_unknown_model(calls, capsys):
    assert main(["lora", "--model", "qwen_05b", "--config", TINY]) == 1
    assert "language.model: unknown preset 'qwen_05b'. Did you mean 'qwen_0.5b'?" in capsys.readouterr().err


def test_models_table_and_json(capsys):
    assert main(["models", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(preset.model_id in out for preset in list_presets())
    assert main(["models", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == [p.name for p in list_presets()]


def test_models_tell_what_they_cost(capsys):
    def training(*words):
        assert main(["models", "--json", *words]) == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        return rows["qwen_7b"]["memory"]["training_gib"]

    lora = training()
    assert training("--precision", "nf4") < 0.7 * lora
    assert training("--no-lora") > 4 * lora
    assert training("--batch", "4") > training("--batch", "4", "--checkpointing") > 0
    assert main(["models", "--tokens", "2048"]) == 0
    assert "bfloat16, 1 x 2048 tokens, training LoRA r 16" in capsys.readouterr().out


def test_models_interactive_writes_one_pair_as_an_experiment(monkeypatch, capsys, tmp_path):
    answers = iter(["smollm2-135m", "siglip2_base"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    out = tmp_path / "mine.yaml"
    assert main(["models", "--interactive", "--out", str(out)]) == 0
    assert f"panollava run --config {out}" in capsys.readouterr().out
    assert main(["config", "check", "--config", str(out)]) == 0
    config = load_config(out)
    assert (config.language.model, config.vision.model) == ("smollm2-135m", "siglip2_base")


def test_models_interactive_asks_again_and_writes_a_study(monkeypatch, capsys, tmp_path):
    answers = iter(["99", "1, qwen_3b", "", "siglip_base"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    out = tmp_path / "new" / "study.yaml"
    assert main(["models", "--interactive", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "unknown model '99'" in printed
    assert "nothing picked" in printed
    from panollava.config.yaml_text import parse_yaml

    study = parse_yaml(out.read_text(), origin="study")
    assert [model["name"] for model in study["models"]] == ["qwen_0.5b", "qwen_3b"]
    assert set(study) == set(parse_yaml((ROOT / "configs/lora_ablation.yaml").read_text(), origin="readme"))
    assert study["models"][0]["latent_dimension"] == 768


def test_models_interactive_without_input(monkeypatch, capsys, tmp_path):
    def closed(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    assert main(["models", "--interactive", "--out", str(tmp_path / "s.yaml")]) == 1
    assert "the input ended before models were picked" in capsys.readouterr().err


def test_parse_choice_keeps_order_and_drops_repeats():
    presets = list_presets("vision")
    assert [p.name for p in parse_choice("2 siglip_base, 2", presets)] == ["siglip_large", "siglip_base"]
    with pytest.raises(ConfigError, match="Did you mean 'siglip_base'"):
        parse_choice("siglip_bas", presets)


def test_config_show_and_check(capsys, tmp_path):
    assert main(["config", "show", "--config", TINY, "lora.r=3"]) == 0
    path = tmp_path / "shown.yaml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_config(path) == load_config(TINY, overrides=["lora.r=3"])
    assert main(["config", "check", "--config", str(path)]) == 0
    assert "ok, hash " in capsys.readouterr().out
    assert main(["config", "check", "--config", TINY, "vision.model=siglip"]) == 1
    assert "vision.model: unknown preset 'siglip'" in capsys.readouterr().err


def test_config_fields(capsys):
    assert main(["config", "show", "--fields"]) == 0
    out = capsys.readouterr().out
    assert "views.hfov_deg = 90.0\n    Horizontal field of view" in out
    assert "stages.*.name = required\n" in out


def test_views_writes_a_sheet_and_each_view(capsys, tmp_path):
    import numpy as np
    from PIL import Image

    pano = tmp_path / "pano.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)).save(pano)
    words = ["views", str(pano), "--out", str(tmp_path / "out"), "--layout", "cubemap", "--size-px", "16"]
    assert main([*words, "--each", "--report"]) == 0
    out = capsys.readouterr().out
    assert "cubemap: 7 views, 100.0% of the sphere" in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"pano_views.png", "pano_front.png", "pano_global.png"} <= names
    assert len(names) == 8
    assert main([*words, "--no-global", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_views"] == 6
    assert report["files"] == [str(tmp_path / "out" / "pano_views.png")]


def test_views_options_are_checked_like_a_file(capsys, tmp_path):
    assert main(["views", "none.jpg", "--overlap", "1.5"]) == 1
    assert "views.overlap: seen 1.5; allowed: less than 1" in capsys.readouterr().err
    assert main(["views", str(tmp_path / "none.jpg")]) == 1
    assert "none.jpg: the image cannot be read" in capsys.readouterr().err


def test_views_tells_what_a_layout_costs(capsys, tmp_path):
    import numpy as np
    from PIL import Image

    pano = tmp_path / "pano.png"
    Image.fromarray(np.zeros((64, 128, 3), np.uint8)).save(pano)
    words = ["views", str(pano), "--out", str(tmp_path), "--report"]
    assert main([*words, "--config", TINY]) == 0
    out = capsys.readouterr().out
    assert "e2p: 9 views, 69.8% of the sphere, 160 tokens a panorama" in out
    assert "overlapping views: 8 pairs, IoU 0.31 to 0.31: 0-1, 0-7" in out
    bands = ["--layout", "bands", "--pitches-deg", "-60", "0", "60", "--size-px", "16", "--antialias", "quality"]
    assert main([*words, *bands]) == 0
    out = capsys.readouterr().out
    assert "100.0% of the sphere, tokens are known with --config" in out and "(--json lists them)" in out
    assert main([*words, "--json", "--layout", "tangent", "--count", "12", "--size-px", "16", "--no-global"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_views"] == 12 and report["tokens_per_panorama"] is None
    assert len(report["overlap_iou"]) == len(report["overlap_pairs"]) > 12
