"""Names of arms and what they set; the README's file as printed; what is wrong is told with the nearest name."""

from pathlib import Path

import pytest

from panollava.ablation.study import load_study
from panollava.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"
SEED_FORM = """
experiment_name: "study"
base: base.yaml
models:
  - {name: "one", vision_name: "embedded", language_model_name: "embedded", latent_dimension: 96}
  - {name: "two", vision_name: "siglip_base", language_model_name: "embedded", latent_dimension: 96}
lora_configs:
  - {lora_r: 4, lora_alpha: 8, lora_dropout: 0.1}
  - {lora_r: 8, lora_alpha: 8, lora_dropout: 0.1}
"""


def test_the_readmes_study_is_two_arms_of_the_named_models():
    study = load_study(CONFIGS / "lora_ablation.yaml")
    assert list(study.arms) == ["r16-a32", "r32-a64"]
    assert study.baseline == "r16-a32"
    for arm, rank in zip(study.arms.values(), (16, 32), strict=True):
        cfg = arm.config
        assert cfg.vision.model == "google/siglip-base-patch16-224"
        assert cfg.language.model == "Qwen/Qwen2.5-0.5B-Instruct"
        assert (cfg.lora.r, cfg.lora.alpha, cfg.lora.dropout) == (rank, 2 * rank, 0.1)
        assert cfg.resampler.hidden == 768
    assert str(study.folder) == "runs/my_ablation_study"


def test_names_show_only_what_differs(write):
    assert list(load_study(write(SEED_FORM)).arms) == ["one-r4", "one-r8", "two-r4", "two-r8"]
    study = load_study(write())
    assert list(study.arms) == [f"r{r}-position.kind={kind}" for r in (4, 8) for kind in ("ray", "none")]
    assert [run.name for run in study.runs][:3] == [
        "r4-position.kind=ray seed 0",
        "r4-position.kind=ray seed 1",
        "r4-position.kind=none seed 0",
    ]
    run = study.runs[1]
    assert run.folder == study.folder / "arms" / "r4-position.kind=ray" / "seed-1"
    assert Path(run.config.paths.runs) / run.config.experiment.name == run.folder
    assert run.config.experiment.seed == 1


def test_keys_may_go_through_the_table_of_stages(write):
    text = """
    experiment_name: s
    base: base.yaml
    set: {stages.finetune.epochs: null, stages.finetune.max_steps: 7}
    grid: {stages.finetune.lr.adapter: [1.0e-3, 1.0e-4]}
    arms: [{name: wide, set: {resampler.hidden: 64}}, {name: narrow, set: {resampler.hidden: 32}}]
    baseline: narrow-lr.adapter=0.001
    """
    study = load_study(write(text))
    assert list(study.arms) == [f"{w}-lr.adapter={lr}" for w in ("wide", "narrow") for lr in ("0.001", "0.0001")]
    last = study.arms["narrow-lr.adapter=0.0001"].config
    row = last.stage("finetune")
    assert (row.lr["adapter"], row.max_steps, last.resampler.hidden) == (1e-4, 7, 32)
    assert study.baseline == "narrow-lr.adapter=0.001"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lora.r:", "lora.rank:"), r"lora\.rank: unknown key 'rank'"),
        (("position.kind:", "positon.kind:"), r"unknown key 'positon'\. Did you mean 'position'"),
        (("position.kind:", "stages.finetun.lr.adapter:"), r"unknown entry 'finetun'\. Did you mean 'finetune'"),
        (("[ray, none]", "[ray, nome]"), r"unknown value 'nome'\. Did you mean 'none'"),
        (("[4, 8]", "[4, 4]"), "two arms are both named"),
        (("grid:\n", "gird:\n"), r"unknown key 'gird'\. Did you mean 'grid'"),
        (("base.yaml", "gone.yaml"), "no such file"),
        (("seeds: [0, 1]", "seeds: [1, 1]"), "seeds lists one twice"),
        (("lora.r:", "experiment.seed:"), r"experiment\.seed cannot be set here: write seeds"),
        (("seeds:", "baseline: r5\nseeds:"), r"baseline: unknown arm 'r5'"),
        (("seeds:", "budget: {max_step: 3}\nseeds:"), r"budget\.max_step: unknown key.*'max_steps'"),
        (("seeds:", "match: token\nseeds:"), "match: unknown value 'token'"),
    ],
)
def test_a_wrong_study_says_what_is_wrong(write, change, message):
    with pytest.raises(ConfigError, match=message):
        load_study(write(changes=(change,)))


def test_two_arms_that_are_one_configuration_are_told(write):
    text = "{experiment_name: s, base: base.yaml, arms: [{name: a, set: {lora.r: 16}}, {name: b}]}"
    with pytest.raises(ConfigError, match="the arms 'a' and 'b' are one configuration"):
        load_study(write(text))


@pytest.mark.parametrize("rule", ["budget: {max_steps: 300}", "budget: {tokens: 90000}", "match: tokens"])
def test_two_arms_that_a_budget_makes_one_configuration_are_told(write, rule):
    finetune = "stages.finetune.epochs: null, stages.finetune.max_steps: 9, stages.finetune.questions_per_panorama: 2"
    text = f"experiment_name: s\nbase: base.yaml\nset: {{stages.resampler: null, {finetune}}}\n"
    text += "grid: {stages.finetune.max_steps: [100, 200]}\n"
    assert len(load_study(write(text)).arms) == 2
    with pytest.raises(ConfigError, match=r"'finetune\.max_steps=100' and '.*=200' are one configuration once budget"):
        load_study(write(f"{text}{rule}\n"))


def test_a_study_needs_arms(write):
    with pytest.raises(ConfigError, match="a study needs arms"):
        load_study(write("{experiment_name: s, base: base.yaml}"))
