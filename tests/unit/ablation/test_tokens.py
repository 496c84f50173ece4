"""Tokens are counted before anything is loaded, and steps follow from them."""

import pytest

from panollava.ablation.study import load_study
from panollava.ablation.tokens import stage_tokens, vision_tokens
from panollava.config import build_config
from panollava.errors import ConfigError

STUDY = """
experiment_name: s
base: base.yaml
set:
  stages.vision: {name: vision, trains: [vision], lr: {vision: 1.0e-5}, objective: overlap, max_steps: 5}
  stages.resampler: {name: resampler, trains: [projector], lr: {projector: 1.0e-3}, max_steps: 100, batch_size: 4,
                     questions_per_panorama: 5}
  stages.finetune: {name: finetune, trains: [adapter], lr: {adapter: 1.0e-3}, max_steps: 300, batch_size: 2,
                    questions_per_panorama: 5}
arms:
  - {name: ring}
  - {name: whole, set: {views.kind: resize}}
text_tokens: 20
"""


def steps(study, arm):
    return [study.arms[arm].config.stage(name).max_steps for name in ("vision", "resampler", "finetune")]


def totals(study):
    return {
        name: sum(stage.total for stage in stage_tokens(arm.config, text_tokens=study.settings.text_tokens))
        for name, arm in study.arms.items()
    }


def test_the_tokens_of_a_step_are_those_of_views_and_questions(write):
    study = load_study(write(STUDY))
    ring, whole = (study.arms[name].config for name in ("ring", "whole"))
    assert (sum(vision_tokens(ring)), sum(vision_tokens(whole))) == (160, 32)
    assert [(s.stage, s.steps, s.per_step) for s in stage_tokens(ring, text_tokens=20)] == [
        ("resampler", 100, 4 * (160 + 100)),
        ("finetune", 300, 2 * (160 + 100)),
    ]


@pytest.mark.parametrize(
    ("budget", "views", "tokens"),
    [(800, "e2p", 2 * 304), (800, "resize", 4 * 176), (608, "e2p", 2 * 304), (100, "e2p", 304)],
)
def test_a_batch_with_a_budget_is_counted_in_whole_panoramas(budget, views, tokens):
    row = {"name": "finetune", "trains": ["adapter"], "lr": {"adapter": 1e-3}, "max_steps": 10, "accumulation": 2}
    row |= {"questions_per_panorama": 6, "tokens_per_batch": budget}
    config = build_config({"views": {"kind": views}, "stages": [row]})
    [stage] = stage_tokens(config, text_tokens=24)
    assert stage.per_step == 2 * tokens


def test_matched_arms_see_the_baselines_tokens(write):
    study = load_study(write(STUDY + "match: tokens\n"))
    assert steps(study, "ring") == [5, 100, 300]
    assert steps(study, "whole") == [5, 197, 591]  # 260 / 132
    assert study.arms["whole"].derived == {"stages.resampler.max_steps": 197, "stages.finetune.max_steps": 591}
    assert totals(study)["whole"] == pytest.approx(totals(study)["ring"], rel=2e-3)
    study = load_study(write(STUDY + "match: tokens\nbaseline: whole\n"))
    assert (steps(study, "ring"), steps(study, "whole")) == ([5, 51, 152], [5, 100, 300])


def test_an_arm_without_a_stage_reads_the_baselines_tokens_in_the_others(write):
    arm = "  - {name: short, set: {stages.resampler: null}}\ntext_tokens:"
    study = load_study(write(STUDY + "match: tokens\n", changes=(("text_tokens:", arm),)))
    assert study.arms["short"].derived == {"stages.finetune.max_steps": 500}  # 300 + 100 of twice the batch
    assert totals(study)["short"] == totals(study)["ring"]
    study = load_study(write(STUDY + "match: tokens\nbudget: {max_steps: 40}\n", changes=(("text_tokens:", arm),)))
    assert study.arms["short"].config.stage("finetune").max_steps == 50
    study = load_study(write(STUDY + "match: tokens\nbaseline: short\n", changes=(("text_tokens:", arm),)))
    assert steps(study, "ring") == [5, 60, 180]


def test_an_arm_with_other_steps_keeps_its_proportions(write):
    arm = "  - {name: late, set: {stages.resampler.max_steps: 200}}\ntext_tokens:"
    study = load_study(write(STUDY + "match: tokens\n", changes=(("text_tokens:", arm),)))
    assert steps(study, "late") == [5, 143, 214]  # 2 : 3, in place of 4 * 100 + 2 * 300 panoramas


def test_a_budget_is_divided_as_in_the_base(write):
    assert steps(load_study(write(STUDY + "budget: {max_steps: 40}\n")), "ring") == [5, 10, 30]
    study = load_study(write(STUDY + "budget: {tokens: 260000}\n"))
    assert steps(study, "ring") == [5, 100, 300]
    assert steps(study, "whole") == [5, 197, 591]


def test_epochs_cannot_be_matched(write):
    with pytest.raises(ConfigError, match=r"stages\.resampler counts epochs.*write max_steps"):
        load_study(write("{experiment_name: s, base: base.yaml, grid: {lora.r: [1, 2]}, budget: {max_steps: 9}}"))


def test_tokens_that_only_a_fetched_model_tells_are_not_guessed(write):
    assert vision_tokens(build_config({"vision": {"model": "someone/unknown"}})) is None
    text = STUDY.replace("set: {views.kind: resize}", "set: {vision.model: someone/unknown}")
    load_study(write(text))
    with pytest.raises(ConfigError, match=r"'whole': the tokens of stages\.resampler cannot be counted beforehand"):
        load_study(write(text + "match: tokens\n"))
