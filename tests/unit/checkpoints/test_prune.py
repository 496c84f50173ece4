"""What is superfluous goes, and nothing else does."""

import datetime
import json

import pytest

from panollava.checkpoints.manifest import META, write_manifest
from panollava.checkpoints.prune import prune, step_folders
from panollava.errors import CheckpointError


@pytest.fixture
def stage(tmp_path):
    """Return a stage's folder of small checkpoints: steps 2, 4, 10, last and best."""
    for name in ("step-000002", "step-000004", "step-000010", "last", "best"):
        make(tmp_path / "vision" / name)
    return tmp_path / "vision"


def make(folder, *, days=0.0):
    folder.mkdir(parents=True, exist_ok=True)
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    facts = {"format": 2, "stage": "vision", "epoch": 1, "step": 2, "blind": False, "components": [], "base": {}}
    (folder / META).write_text(json.dumps({**facts, "config": {}, "created": then.isoformat()}))
    write_manifest(folder)


def names(stage):
    return sorted(folder.name for folder in stage.iterdir())


def test_the_newest_few_stay(stage):
    gone = prune(stage, keep=2)
    assert [folder.name for folder in gone] == ["step-000002"]
    assert names(stage) == ["best", "last", "step-000004", "step-000010"]
    assert prune(stage, keep=2) == [] and prune(stage, keep=5) == []


def test_the_order_is_that_of_numbers(stage):
    for name in ("step-999999", "step-1000000"):
        make(stage / name)
    assert [f.name for f in step_folders(stage)][:3] == ["step-1000000", "step-999999", "step-000010"]
    prune(stage, keep=1)
    assert names(stage) == ["best", "last", "step-1000000"]


def test_a_dry_run_removes_nothing(stage):
    assert [f.name for f in prune(stage, keep=1, dry_run=True)] == ["step-000004", "step-000002"]
    assert len(names(stage)) == 5


def test_a_damaged_one_counts_for_nothing_and_goes_when_it_is_old(stage, flip):
    flip(stage / "step-000010" / META)
    prune(stage, keep=1)
    assert names(stage) == ["best", "last", "step-000004", "step-000010"]
    make(stage / "step-000012")
    prune(stage, keep=1)
    assert names(stage) == ["best", "last", "step-000012"]


def test_the_only_whole_one_stays_and_so_do_all_where_none_is(stage, flip):
    for name in ("step-000004", "step-000010"):
        flip(stage / name / META)
    prune(stage, keep=1)
    assert "step-000002" in names(stage)
    flip(stage / "step-000002" / META)
    assert prune(stage, keep=1, max_age_days=0) == []
    assert len(names(stage)) == 5


def test_old_ones_go_but_not_the_newest(stage):
    make(stage / "step-000002", days=30)
    make(stage / "step-000004", days=3)
    make(stage / "step-000010", days=2)
    assert [f.name for f in prune(stage, keep=9, max_age_days=10)] == ["step-000002"]
    assert [f.name for f in prune(stage, keep=9, max_age_days=1)] == ["step-000004"]
    assert names(stage) == ["best", "last", "step-000010"]


def test_what_has_another_name_is_not_touched(stage, tmp_path):
    for name in ("step-final", "step-", "mystep-000001", ".step-000001.part"):
        (stage / name).mkdir()
    (stage / "step-000001").write_text("a file")
    make(tmp_path / "far")
    (stage / "step-000003").symlink_to(tmp_path / "far")
    before = {*names(stage)} - {"step-000002", "step-000004"}
    prune(stage, keep=1)
    assert {*names(stage)} == before
    assert (tmp_path / "far" / META).is_file()


@pytest.mark.parametrize("keep", [0, -1])
def test_none_is_too_few(stage, keep):
    with pytest.raises(CheckpointError, match=f"keep is {keep}; .* at least 1"):
        prune(stage, keep=keep)
