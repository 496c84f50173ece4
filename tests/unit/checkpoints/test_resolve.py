"""Finding a checkpoint by what it says about itself, never by guessing."""

import json
import shutil
from pathlib import Path

import pytest

from panollava.checkpoints.format import MANIFEST, META, save_checkpoint
from panollava.checkpoints.manifest import write_manifest
from panollava.checkpoints.resolve import CheckpointResolver, newest_valid, resolve_checkpoint
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


def test_of_many_runs_one_is_found_by_how_its_name_begins(saved, tmp_path):
    one, two = saved("a/finetune/last", run="siglip-small"), saved("b/finetune/last", run="clip-small")
    resolver = CheckpointResolver(tmp_path / "runs")
    assert resolver.find(prefix="siglip") == one and resolver.find(prefix="clip-small") == two
    with pytest.raises(CheckpointError, match=r"no checkpoint below .* for prefix=small, which=last. Candidates"):
        resolver.find(prefix="small")  # a prefix, not a part; and no folder of that name is guessed
    with pytest.raises(CheckpointError, match="no checkpoint"):
        resolver.find(prefix="a")


def test_views_are_the_kind_or_more_of_what_tells_layouts_apart(saved, tmp_path):
    half = saved("a/finetune/last", views="e2p hfov_deg=90 overlap=0.5 global")
    none = saved("b/finetune/last", views="e2p hfov_deg=90 overlap=0 global")
    cube = saved("c/finetune/last", views="cubemap")
    resolver = CheckpointResolver(tmp_path / "runs")
    assert resolver.find(views="cubemap") == cube
    assert resolver.find(views="e2p overlap=0.5") == half and resolver.find(views="overlap=0") == none
    with pytest.raises(CheckpointError, match=r"2 checkpoints below .* for views=e2p, which=last. Name one") as error:
        resolver.find(views="e2p")
    assert str(half) in str(error.value) and str(none) in str(error.value) and str(cube) not in str(error.value)


def test_an_epoch_and_a_step_select_the_weights_of_that_moment(saved, tmp_path):
    early = saved("a/finetune/step-000100", epoch=1, step=100, finished=False)
    late = saved("a/finetune/last", epoch=2, step=200)
    resolver = CheckpointResolver(tmp_path / "runs" / "a")
    assert (
        resolver.find(step=100) == resolver.find(epoch=1) == resolver.find(stage="finetune", epoch=1, step=100) == early
    )
    assert resolver.find() == resolver.find(epoch=2) == late
    with pytest.raises(CheckpointError, match="for epoch=1, step=200"):
        resolver.find(epoch=1, step=200)


def test_a_checkpoint_inside_a_stage_is_none_until_it_is_asked_for(saved, tmp_path):
    saved("a/finetune/step-000100", finished=False)
    with pytest.raises(CheckpointError, match=r"no checkpoint below .* for which=last") as error:
        CheckpointResolver(tmp_path / "runs").find()
    assert str(error.value).splitlines()[-1].endswith("unfinished")


@pytest.mark.parametrize("name", [META, MANIFEST])
def test_a_damaged_neighbour_is_named_and_does_not_hide_the_others(saved, flip, tmp_path, caplog, name):
    whole, broken = saved("a/finetune/last"), saved("a/vision/last", stage="vision")
    flip(broken / name)
    assert resolve_checkpoint(tmp_path / "runs" / "a") == whole
    assert f"{broken} is damaged: {name}" in caplog.text
    with pytest.raises(CheckpointError, match="no checkpoint") as error:
        CheckpointResolver(tmp_path / "runs").find(stage="vision")
    assert any(line.startswith(str(broken)) and line.endswith("damaged") for line in str(error.value).splitlines())


def test_weights_are_not_read_to_find_a_checkpoint(saved, flip, tmp_path):
    folder = saved("a/finetune/last")
    flip(folder / "adapter.safetensors")
    assert CheckpointResolver(tmp_path / "runs").find() == folder  # loading it is what fails, and names the file


def test_the_last_stage_is_that_of_each_run(saved, tmp_path):
    saved("a/vision/last", run="a", stage="vision")
    finetuned = saved("a/finetune/last", run="a")
    halfway = saved("b/resampler/last", run="b", stage="resampler")
    with pytest.raises(CheckpointError, match="2 checkpoints") as error:
        CheckpointResolver(tmp_path / "runs").find()
    assert str(finetuned) in str(error.value) and str(halfway) in str(error.value)
    assert CheckpointResolver(tmp_path / "runs").find(prefix="b") == halfway


def test_another_word_than_last_or_best_is_refused(saved, tmp_path):
    saved("a/finetune/last")
    with pytest.raises(CheckpointError, match="which is 'newest'; give 'last' or 'best'"):
        CheckpointResolver(tmp_path / "runs").find(which="newest")


def test_many_candidates_are_cut_short(saved, tmp_path, monkeypatch):
    from panollava.checkpoints import resolve

    monkeypatch.setattr(resolve, "MOST_LISTED", 1)
    for name in "abc":
        saved(f"{name}/finetune/last")
    with pytest.raises(CheckpointError, match=r"3 checkpoints(.|\n)*\.\.\. and 2 more$"):
        resolve_checkpoint(tmp_path / "runs")


def test_a_file_is_no_checkpoint_and_is_not_opened(tmp_path):
    """Least of all a pickle, which would be code."""
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"cos\nsystem\n(S'touch marker'\ntR.")
    with pytest.raises(
        CheckpointError, match=r"model.ckpt is a file; a checkpoint is a directory with a manifest.json"
    ):
        resolve_checkpoint(file)


def test_the_newest_is_that_of_the_largest_step(saved):
    folders = [saved(f"a/vision/step-{step:06d}", step=step) for step in (4, 10, 2)]
    assert newest_valid(folders)[0] == folders[1]
    assert newest_valid([]) is None


@pytest.mark.parametrize("name", ["adapter.safetensors", "training.json", META, MANIFEST])
def test_a_damaged_newest_one_is_named_and_the_one_before_is_used(saved, flip, caplog, name):
    folders = [saved(f"a/vision/step-{step:06d}", step=step) for step in (1, 2, 3)]
    flip(folders[2] / name)
    folder, meta = newest_valid(folders)
    assert (folder, meta.step) == (folders[1], 2)
    assert f"{folders[2]} is damaged: {name}" in caplog.text and str(folders[1]) not in caplog.text
    for other in folders[:2]:
        flip(other / name)
    assert newest_valid(folders) is None
    assert all(f"{f} is damaged: {name}" in caplog.text for f in folders)


def test_the_checkpoints_of_another_run_do_not_count(saved):
    mine, other = saved("a/vision/step-000001", step=1), saved("a/vision/step-000002", step=2)
    resaved = saved("a/vision/step-000003", step=3)
    for folder, run in ((mine, "mine"), (other, "other"), (resaved, None)):
        meta = json.loads((folder / META).read_text())
        (folder / META).write_text(json.dumps({**meta, "run": run}))
        write_manifest(folder)
    assert newest_valid([mine, other, resaved], run="mine")[0] == mine
    assert newest_valid([mine, other, resaved])[0] == resaved
    assert newest_valid([mine, other], run="third") is None
