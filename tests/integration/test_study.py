"""A run that takes stages over ends as one that trains them itself, and a changed run starts over."""

import json
from pathlib import Path

import pytest

from panollava.ablation.standing import status
from panollava.ablation.study import load_study
from panollava.ablation.task import Task, write_tasks
from panollava.checkpoints.format import read_meta
from panollava.metrics.predictions import read_predictions
from panollava.workflow.arm import run_task
from panollava.workflow.devices import Devices
from panollava.workflow.runner import run_experiment
from panollava.workflow.shared_stage import provide

STUDY = """
experiment_name: shared
base: base.json
arms:
  - {name: ray, set: {position.kind: ray}}
  - {name: rotary, set: {position.kind: rotary}}
  - {name: wide, set: {lora.r: 8}}
shuffled_images: true
"""


@pytest.fixture(scope="module")
def study(tiny_tree, tmp_path_factory):
    """Run a study in this process."""
    folder = tmp_path_factory.mktemp("study")
    tree = tiny_tree(runs=folder / "runs")
    tree["experiment"]["blind_baseline"] = True
    tree["evaluation"] |= {"report": False, "max_samples": None}
    tree["data"]["synthetic"] |= {"count": 40}
    (folder / "base.json").write_text(json.dumps(tree))
    (folder / "study.yaml").write_text(STUDY)
    study = load_study(folder / "study.yaml")
    for file in write_tasks(study, runs=list(study.runs)):
        run_task(Task.read(file))
    return study


def weights(run: Path) -> dict[str, bytes]:
    files = [*run.glob("finetune/last/*.safetensors"), *run.glob("blind/finetune/last/*.safetensors")]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_run_with_shared_stages_ends_as_one_without(study, tmp_path, place):
    run = study.runs[place]
    assert run.shared  # vision by all, resampler by the arms with one position
    config = run.config.model_copy(update={"paths": run.config.paths.model_copy(update={"runs": str(tmp_path)})})
    run_experiment(config)
    alone = tmp_path / config.experiment.name
    own = weights(run.folder)
    assert len(own) >= 6
    assert own == weights(alone)
    for name in ("predictions.csv", "blind_predictions.csv"):
        assert (run.folder / name).read_bytes() == (alone / name).read_bytes()
    took, trained = (json.loads((folder / "stages.json").read_text()) for folder in (run.folder, alone))
    assert [stage["name"] for stage in took] == ["vision", "resampler", "finetune"]
    same = ("name", "steps", "final_loss", "trainable", "frozen")
    assert [[stage[key] for key in same] for stage in took] == [[stage[key] for key in same] for stage in trained]
    assert (run.folder / "logs" / "vision" / "metrics.csv").is_file()


def test_what_several_need_is_trained_once(study):
    folders = sorted(path.name.rsplit("-", 1)[0] for path in (study.folder / "stages").iterdir() if path.is_dir())
    assert folders == ["blind-finetune", "resampler", "vision"]


def test_a_stage_that_was_half_taken_over_is_taken_over_again(study, tmp_path, monkeypatch):
    from panollava.workflow import shared_stage

    run = study.runs[2]
    source = study.folder / "stages" / run.shared[-1].key
    take = {"config": run.config, "run_dir": tmp_path / "run", "upto": run.shared[-1].upto, "blind": False}

    def full(*args, **options):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(shared_stage, "save_checkpoint", full)
        with pytest.raises(OSError, match="no space"):
            shared_stage.take_over(source, **take)
    shared_stage.take_over(source, **take)
    whole = {path.name for path in (tmp_path / "run").iterdir()}
    assert whole >= {"resampler", "logs", "stages.json", "run.json"}
    own = read_meta(tmp_path / "run" / "resampler" / "last").run
    shared_stage.take_over(source, **take)
    assert read_meta(tmp_path / "run" / "resampler" / "last").run == own


@pytest.mark.parametrize("torn", [False, True])
def test_a_shared_stage_goes_on_for_a_run_of_other_settings(study, tmp_path, torn):
    """Killed before its end was noted, a stage that one arm began is ended by another that shares it."""
    first, other = study.runs[0], study.runs[1]
    [vision] = [link for link in other.shared if link.stage == "vision"]
    assert vision in first.shared
    devices = Devices(order=tmp_path / "order.json", log=tmp_path / "log.txt")
    folder = provide(first.config, [vision], stages=tmp_path, devices=devices)
    weights_before = (folder / "vision" / "last" / "vision.safetensors").read_bytes()
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "state": "running"}))
    if torn:
        (folder / "config.yaml").write_text("stages: [{name: ")
    assert provide(other.config, [vision], stages=tmp_path, devices=devices) == folder
    assert json.loads((folder / "run.json").read_text())["state"] == "done"
    assert (folder / "vision" / "last" / "vision.safetensors").read_bytes() == weights_before
    same = json.loads((folder / "run.json").read_text())["run"] == run["run"]
    assert same is not torn


def test_shuffled_answers_stand_beside_the_others(study):
    run = study.runs[0].folder
    own, other = (read_predictions(run / name) for name in ("predictions.csv", "shuffled_predictions.csv"))
    assert (own.images, own.queries, own.references) == (other.images, other.queries, other.references)
    assert own.predictions != other.predictions
    assert set(json.loads((run / "shuffled.json").read_text())) >= {"accuracy", "by_kind"}


def test_shuffled_answers_may_be_added_to_a_run_that_is_done(study):
    run = study.runs[1].folder
    before, trained = (run / "shuffled.json").read_text(), read_meta(run / "finetune" / "last").run
    (run / "shuffled.json").unlink()
    file = next(f for f in write_tasks(study, runs=list(study.runs)) if f.name.startswith("rotary"))
    run_task(Task.read(file))
    assert (run / "shuffled.json").read_text() == before
    assert read_meta(run / "finetune" / "last").run == trained


def test_a_run_of_other_settings_starts_over_and_an_equal_one_does_nothing(study):
    run = study.runs[2]
    before = read_meta(run.folder / "finetune" / "last").run
    file = next(f for f in write_tasks(study, runs=list(study.runs)) if f.name.startswith("wide"))
    run_task(Task.read(file))
    assert read_meta(run.folder / "finetune" / "last").run == before
    (run.folder / "arm.json").write_text("{}")  # as if it had never come to its end
    run_task(Task.read(file))
    assert read_meta(run.folder / "finetune" / "last").run == before
    tree = json.loads(file.read_text())
    tree["config"]["stages"][2]["lr"]["adapter"] = 0.5
    file.write_text(json.dumps(tree))
    task = Task.read(file)
    assert status(task.run) == "pending"
    run_task(task)
    assert status(task.run) == "done"
    assert read_meta(run.folder / "finetune" / "last").run != before
