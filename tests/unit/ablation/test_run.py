"""A study: its arms, what is run again, what a failed arm does, and the README's file as printed."""

import csv
import json
from pathlib import Path

import pytest

from panollava.ablation.run import run_ablation
from panollava.config import dump_config
from panollava.config.study import load_study
from panollava.errors import ConfigError, TrainingError

CONFIGS = Path(__file__).parents[3] / "configs"
STUDY = """
experiment_name: "study"
base: base.yaml
models:
  - {name: "pair", vision_name: "embedded", language_model_name: "embedded", latent_dimension: 96}
lora_configs:
  - {lora_r: 4, lora_alpha: 8, lora_dropout: 0.1}
  - {lora_r: 8, lora_alpha: 16, lora_dropout: 0.1}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "base.yaml").write_text(f"paths: {{runs: {tmp_path / 'runs'}}}\n")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def finished(cfg, *, accuracy=0.5):
    """Stand for a whole experiment: write what a run writes, return its metrics."""
    folder = Path(cfg.paths.runs) / cfg.experiment.name
    folder.mkdir(parents=True)
    metrics = {
        "model": {"accuracy": accuracy, "captions": {"cider": {"value": 0.25}}},
        "blind": {"accuracy": 0.25},
        "tokens_per_panorama": 160,
        "seconds": {"data": 30.0, "evaluation": 30.0},
    }
    (folder / "config.yaml").write_text(dump_config(cfg))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return metrics


def test_the_readmes_study_is_two_arms_of_the_named_models():
    _, arms = load_study(CONFIGS / "lora_ablation.yaml")
    assert list(arms) == ["qwen_0.5b_r16_a32_d0.1", "qwen_0.5b_r32_a64_d0.1"]
    for cfg, rank in zip(arms.values(), (16, 32), strict=True):
        assert cfg.vision.model == "google/siglip-base-patch16-224"
        assert cfg.language.model == "Qwen/Qwen2.5-0.5B-Instruct"
        assert (cfg.lora.r, cfg.lora.alpha, cfg.lora.dropout) == (rank, 2 * rank, 0.1)
        assert cfg.resampler.hidden == 768
        assert cfg.paths.runs == "runs/my_ablation_study"


def test_every_arm_runs_once_and_the_table_holds_them(study, capsys):
    ran = []

    def run_arm(cfg):
        ran.append(cfg.lora.r)
        return finished(cfg, accuracy=cfg.lora.r / 10)

    rows = run_ablation(study, run_arm=run_arm)
    assert ran == [4, 8]
    assert [row["accuracy"] for row in rows] == [0.4, 0.8]
    folder = study.parent / "runs" / "study"
    with (folder / "ablation.csv").open() as stream:
        assert [(row["lora_r"], row["cider"], row["minutes"]) for row in csv.DictReader(stream)] == [
            ("4", "0.25", "1.0"),
            ("8", "0.25", "1.0"),
        ]
    assert json.loads((folder / "ablation.json").read_text()) == rows
    assert "pair_r8_a16_d0.1" in capsys.readouterr().out


def test_an_arm_that_is_done_is_not_run_again_unless_its_settings_changed(study):
    run_ablation(study, run_arm=finished)
    run_ablation(study, run_arm=pytest.fail)
    study.with_name("base.yaml").write_text(f"paths: {{runs: {study.parent / 'runs'}}}\nviews: {{hfov_deg: 75}}\n")
    ran = []
    run_ablation(study, run_arm=lambda cfg: ran.append(cfg.lora.r) or {**_metrics(cfg)})
    assert ran == [4, 8]


def test_a_failed_arm_is_reported_and_the_others_go_on(study, capsys):
    def run_arm(cfg):
        if cfg.lora.r == 4:
            raise TrainingError("the loss is not finite")
        return finished(cfg)

    rows = run_ablation(study, run_arm=run_arm)
    assert [row["error"] for row in rows] == ["the loss is not finite", None]
    assert rows[0]["accuracy"] is None
    assert "failed" in capsys.readouterr().out


def test_a_study_whose_arms_all_fail_fails(study):
    def run_arm(cfg):
        raise TrainingError("no")

    with pytest.raises(TrainingError, match="every arm of study failed; the first with: no"):
        run_ablation(study, run_arm=run_arm)


def test_a_dry_run_lists_and_runs_nothing(study, capsys):
    rows = run_ablation(study, run_arm=pytest.fail, dry_run=True)
    assert [row["arm"] for row in rows] == ["pair_r4_a8_d0.1", "pair_r8_a16_d0.1"]
    assert not (study.parent / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lora_r: 4", "lora_rank: 4"), "lora_rank"),
        (("lora_r: 8, lora_alpha: 16", "lora_r: 4, lora_alpha: 8"), "two arms are both named"),
        (("base.yaml", "gone.yaml"), "no such file"),
    ],
)
def test_a_wrong_study_says_what_is_wrong(study, change, message):
    study.write_text(study.read_text().replace(*change))
    with pytest.raises(ConfigError, match=message):
        load_study(study)


def _metrics(cfg):
    return {
        "model": {"accuracy": 0.5, "captions": {}},
        "blind": None,
        "tokens_per_panorama": 160,
        "seconds": {},
    }
