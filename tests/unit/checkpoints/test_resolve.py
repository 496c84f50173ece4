"""Finding a checkpoint by what it says about itself, never by guessing."""

import json
import shutil
from pathlib import Path

import pytest

from panollava.checkpoints.format import MANIFEST, save_checkpoint
from panollava.checkpoints.resolve import CheckpointResolver, resolve_checkpoint
from panollava.config import to_dict
from panollava.errors import CheckpointError


@pytest.fixture
def run(three_stages, tmp_path):
    """Return a copy of a finished run's folder: vision/last, resampler/last, finetune/last."""
    return Path(shutil.copytree(three_stages.run_dir, tmp_path / "runs" / "tiny"))


def test_itself_its_parent_and_the_run(run):
    last = run / "finetune" / "last"
    assert resolve_checkpoint(last) == resolve_checkpoint(last.parent) == resolve_checkpoint(run) == last
    assert resolve_checkpoint(str(run.parent)) == last


def test_a_stage_may_be_named(run):
    resolver = CheckpointResolver(run)
    assert resolver.find(stage="vision") == run / "vision" / "last"
    assert resolver.find(stage="resampler", step=2) == run / "resampler" / "last"
    assert [m.stage for _, m in resolver.candidates()] == ["finetune", "resampler", "vision"]


def test_the_last_stage_is_that_of_the_table_not_of_the_alphabet(run):
    shutil.rmtree(run / "finetune")
    assert resolve_checkpoint(run) == run / "resampler" / "last"  # not vision


def test_a_moment_that_was_not_kept_lists_those_that_were(run):
    with pytest.raises(CheckpointError, match=r"no checkpoint below .* for stage=finetune, step=7. Candid") as error:
        CheckpointResolver(run).find(stage="finetune", step=7)
    for stage in ("vision", "resampler", "finetune"):
        line = next(line for line in str(error.value).splitlines() if line.startswith(str(run / stage / "last")))
        assert line.split()[1:5] == ["tiny", stage, "1", "2"]


def test_step_zero_is_a_moment_too(run):
    with pytest.raises(CheckpointError, match="for stage=finetune, step=0"):
        CheckpointResolver(run).find(stage="finetune", step=0)


def test_two_runs_are_two_candidates(run):
    shutil.copytree(run, run.parent / "other")
    with pytest.raises(CheckpointError, match="2 checkpoints below") as error:
        resolve_checkpoint(run.parent)
    assert str(run.parent / "other" / "finetune" / "last") in str(error.value)
    assert str(run / "finetune" / "last") in str(error.value)


def test_the_best_may_be_asked_for(run):
    shutil.copytree(run / "finetune" / "last", run / "finetune" / "best")
    assert resolve_checkpoint(run) == run / "finetune" / "last"
    assert CheckpointResolver(run).find(which="best") == run / "finetune" / "best"


def test_the_blind_twin_is_no_candidate_beside_a_seeing_model(run, tiny_model, three_stages):
    blind = save_checkpoint(
        tiny_model(blind=True, adapter=True), run / "blind" / "finetune" / "last",
        config=to_dict(three_stages.cfg), stage="finetune", epoch=1, step=2, trained={"adapter"},
    )  # fmt: skip
    assert resolve_checkpoint(run) == run / "finetune" / "last"
    assert resolve_checkpoint(blind) == resolve_checkpoint(blind.parent) == resolve_checkpoint(run / "blind") == blind
    assert [f for f, _ in CheckpointResolver(run).candidates(blind=True)] == [blind]


def test_the_remains_of_a_crash_are_no_candidates(run):
    """A half-deleted old folder and a half-written new one lie beside the whole one."""
    for name in (".last.part", ".last.old"):
        remains = run / "finetune" / name
        remains.mkdir()
        (remains / MANIFEST).write_text(json.dumps({"adapter.safetensors": "0" * 64}))
    assert resolve_checkpoint(run) == run / "finetune" / "last"


def test_a_hidden_folder_above_does_not_hide_the_run(run, tmp_path):
    hidden = tmp_path / ".cache" / "tiny"
    shutil.copytree(run, hidden)
    assert resolve_checkpoint(hidden) == hidden / "finetune" / "last"


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_nothing_there_is_said(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"does not exist; give a checkpoint|no checkpoint below"):
        resolve_checkpoint(tmp_path / name)


def test_last_and_best_of_one_step_are_told_apart_by_name(run):
    shutil.copytree(run / "finetune" / "last", run / "finetune" / "best")
    resolver = CheckpointResolver(run)
    assert resolver.find(step=2) == run / "finetune" / "last"
    assert resolver.find(step=2, which="best") == run / "finetune" / "best"
