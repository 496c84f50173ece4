"""The studies in configs/studies: every arm is right, the tiny ones are small, and each says its command."""

from pathlib import Path

import pytest

from panollava.ablation.study import load_study
from panollava.ablation.tokens import stage_tokens

ROOT = Path(__file__).parents[3]
STUDIES = sorted(
    path for path in (ROOT / "configs" / "studies").rglob("*.yaml") if "experiment_name" in path.read_text()
)


def test_there_are_five_in_two_sizes():
    names = {"lora_rank", "views", "positions", "overlap_loss", "resamplers"}
    assert {path.stem for path in STUDIES if path.parent.name == "studies"} == names
    assert {path.stem for path in STUDIES if path.parent.name == "tiny"} == names


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_arm_is_right(path):
    study = load_study(path)
    assert len(study.arms) >= 3 and len({run.seed for run in study.runs}) >= 3
    assert study.settings.shuffled_images
    assert all(arm.config.experiment.blind_baseline for arm in study.arms.values())
    assert f"panollava ablate --config {path.relative_to(ROOT)}" in path.read_text()
    assert any(run.shared or run.shared_blind for run in study.runs)
    if path.parent.name == "tiny":
        assert {arm.config.vision.model for arm in study.arms.values()} == {"embedded"}
        assert all(arm.config.trainer.threads == 1 for arm in study.arms.values())


@pytest.mark.parametrize("folder", ["studies", "studies/tiny"])
def test_views_are_matched_by_tokens(folder):
    study = load_study(ROOT / "configs" / folder / "views.yaml")
    totals = [
        sum(stage.total for stage in stage_tokens(arm.config, text_tokens=study.settings.text_tokens))
        for arm in study.arms.values()
    ]
    assert max(totals) / min(totals) < 1.01
