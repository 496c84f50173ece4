"""A study is run: what is done is not done again, a failed run is told and the others go on."""

import json
import sys
from types import ModuleType

import pytest

from panollava.ablation import local
from panollava.ablation.locks import held
from panollava.ablation.run import Options, run_study
from panollava.ablation.standing import last_words, lock_file, note_failed, status
from panollava.ablation.study import load_study
from panollava.ablation.task import Task
from panollava.errors import ConfigError, TrainingError


@pytest.fixture
def launched(monkeypatch, finish):
    """Replace the process that trains; return the runs that were launched, and which of them fail."""
    seen, failing = [], set()

    def launch(file, *, environment=None, stop=None):
        run = Task.read(file).run
        seen.append((run.arm, run.seed))
        if (run.arm, run.seed) in failing:
            note_failed(run, error="the loss is not finite", seconds=1.0)
            return False
        return finish(file)

    monkeypatch.setattr(local, "launch", launch)
    return seen, failing


@pytest.fixture(autouse=True)
def outcomes(monkeypatch):
    """Replace the outcome's writer; return the folders it was called for."""
    folders = []
    module = ModuleType("panollava.ablation.report")
    module.write_study = lambda folder: folders.append(folder) or folder / "ablation.html"
    monkeypatch.setitem(sys.modules, "panollava.ablation.report", module)
    return folders


def test_every_run_is_run_once_and_the_outcome_written(write, launched, outcomes):
    seen, _ = launched
    path = write()
    assert run_study(path) == 0
    assert [seed for _, seed in seen] == [0, 1] * 4
    assert len({arm for arm, _ in seen}) == 4
    folder = load_study(path).folder
    assert outcomes == [folder]
    tree = json.loads((folder / "study.json").read_text())
    assert (tree["name"], tree["baseline"], len(tree["arms"])) == ("grid", "r4-position.kind=ray", 4)
    entry = tree["arms"][3]["runs"][1]
    assert entry == {
        "seed": 1, "dir": "arms/r8-position.kind=none/seed-1", "status": "done", "error": None,
        "seconds": 12.0, "peak_memory_mb": 300.0,
    }  # fmt: skip
    assert (folder / entry["dir"]).is_dir()


def test_what_is_done_is_not_done_again_unless_it_changed(write, launched):
    seen, _ = launched
    run_study(write())
    seen.clear()
    assert run_study(write()) == 0
    assert seen == []
    run_study(write(changes=(("[4, 8]", "[4, 6, 8]"),)))
    assert {arm for arm, _ in seen} == {"r6-position.kind=ray", "r6-position.kind=none"}
    seen.clear()
    run_study(write(changes=(("seeds:", "set: {lora.dropout: 0.2}\nseeds:"),)))
    assert len(seen) == 8
    seen.clear()
    run_study(write(changes=(("seeds:", "set: {lora.dropout: 0.2}\nseeds:"),)), options=Options(fresh=True))
    assert len(seen) == 8


def test_runs_at_work_are_not_removed(write, launched):
    run_study(write())
    run = load_study(write()).runs[0]
    with (
        held(lock_file(run), what="a run"),
        pytest.raises(ConfigError, match=r"has runs at work \(seed-0\); stop them"),
    ):
        run_study(write(), options=Options(fresh=True))
    assert run.folder.is_dir()


def test_a_run_on_data_that_has_changed_is_not_done(write, launched, tmp_path):
    """Beside an arm that was trained on the new data it would be compared as if both had been."""
    seen, _ = launched
    manifest, model = tmp_path / "train.csv", tmp_path / "encoder"
    manifest.write_text("url,query,annotation\n")
    model.mkdir()
    (model / "preprocessor_config.json").write_text("{}")
    settings = f"set: {{data.train: [{{source: {manifest}}}], vision.model: {model}}}\nseeds:"
    path = write(changes=(("seeds:", settings),))
    run_study(path)
    keys = [run.shared for run in load_study(path).runs]
    for file, text in ((manifest, "url,query,annotation\na,b,c\n"), (model / "preprocessor_config.json", "{ }")):
        seen.clear()
        assert run_study(path) == 0 and seen == []
        file.write_text(text)
        assert run_study(path) == 0 and len(seen) == 8
        assert keys != (keys := [run.shared for run in load_study(path).runs])


def test_shuffled_images_may_be_asked_for_later(write, launched):
    seen, _ = launched
    run_study(write())
    seen.clear()
    path = write(changes=(("seeds:", "shuffled_images: true\nseeds:"),))
    run_study(path)
    assert len(seen) == 8
    seen.clear()
    for run in load_study(path).runs[1:]:
        (run.folder / "shuffled.json").write_text("{}")
    run_study(path)
    assert len(seen) == 1


def test_an_arm_that_the_study_no_longer_has_is_named_and_stays(write, launched, caplog):
    run_study(write())
    with caplog.at_level("INFO", logger="panollava"):
        run_study(write(changes=(("[4, 8]", "[4]"),)))
    assert "not part of it: r4-position.kind=none, r4-position.kind=ray, r8-" in caplog.text
    assert (load_study(write()).folder / "arms" / "r8-position.kind=ray").is_dir()


def test_a_failed_run_is_told_tried_again_and_the_others_go_on(write, launched, caplog):
    seen, failing = launched
    failing.add(("r4-position.kind=ray", 1))
    assert run_study(write()) == 1
    assert len(seen) == 8
    assert "r4-position.kind=ray seed 1: the loss is not finite" in caplog.text
    study = load_study(write())
    assert [status(run) for run in study.runs[:3]] == ["done", "failed", "done"]
    seen.clear()
    failing.clear()
    assert run_study(write()) == 0
    assert seen == [("r4-position.kind=ray", 1)]


def test_a_study_without_a_complete_run_is_an_error(write, launched, outcomes):
    _, failing = launched
    failing.update((f"r{r}-position.kind={kind}", seed) for r in (4, 8) for kind in ("ray", "none") for seed in (0, 1))
    with pytest.raises(TrainingError, match="no run of grid is complete; the first: the loss is not finite"):
        run_study(write())
    assert outcomes == []


def test_a_result_of_another_configuration_or_without_scores_does_not_count(write, launched):
    run_study(write())
    study = load_study(write())
    (study.runs[0].folder / "metrics.json").write_text('{"seconds": {')
    (study.runs[1].folder / "arm.json").write_text("{")
    assert [status(run) for run in study.runs[:3]] == ["pending", "pending", "done"]


def test_jobs_share_the_cores(monkeypatch):
    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    limits = [local.slot_environment(number, jobs=3, devices=1) for number in range(3)]
    assert [limit["OMP_NUM_THREADS"] for limit in limits] == ["2", "2", "2"]
    assert [limit["CUDA_VISIBLE_DEVICES"] for limit in limits] == ["4", "5", "4"]


def test_a_run_on_several_devices_has_its_own(monkeypatch):
    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    limits = [local.slot_environment(number, jobs=2, devices=2) for number in range(2)]
    assert [(limit["OMP_NUM_THREADS"], limit["CUDA_VISIBLE_DEVICES"]) for limit in limits] == [
        ("2", "0,1"),
        ("2", "2,3"),
    ]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("stage vision\nerror: the loss is nan\n\n", "the loss is nan"),
        ("error: early\ninfo\nTraceback:\nValueError: late\n", "ValueError: late"),
        ("\x1b[31mstep 3\x1b[0m\rstep 4\r\n", "step 4"),
        ("", ""),
    ],
)
def test_the_last_words_of_a_log(tmp_path, log, words):
    (tmp_path / "arm.log").write_text(log)
    assert last_words(tmp_path / "arm.log") == words
