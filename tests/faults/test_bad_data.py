"""A run over a data set with bad images: they are left out and told, or the run stops; nothing takes their place."""

import json
from pathlib import Path

import pytest
from PIL import Image

from panollava.config import build_config
from panollava.data.manifest import read_manifest
from panollava.errors import DataError
from panollava.workflow import training
from panollava.workflow.runner import run_experiment
from panollava.workflow.training import ThreeStageTrainer

SPLITS = ("train", "val", "test")
ASKED = (("what is behind?", "a door"), ("is it red?", "no"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


@pytest.fixture
def config(tiny_tree, tmp_path):
    """Return a maker of configurations over twelve panoramas, two rows each, in every split."""
    for k in range(12):
        Image.effect_noise((64, 32), 60).convert("RGB").save(tmp_path / f"{k}.jpg")
    rows = [{"image": f"{k}.jpg", "query": query, "answer": answer} for k in range(12) for query, answer in ASKED]
    for split in SPLITS:
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def make(*overrides):
        tree = tiny_tree()
        sources = {split: [{"source": str(tmp_path / f"{split}.jsonl")}] for split in SPLITS}
        policy = {"on_bad_image": "skip", "max_bad_fraction": 0.2}
        tree["data"] = {**tree.get("data", {}), **sources, **policy}
        tree["paths"] = {"runs": str(tmp_path / "runs"), "data": str(tmp_path / "cache")}
        return build_config(tree, overrides=overrides)

    return make


def test_a_run_goes_on_without_bad_images_and_tells_which(config, tmp_path, record_property):
    cut(tmp_path / "3.jpg")
    (tmp_path / "7.jpg").unlink()
    cfg = config("evaluation.max_samples=null", "experiment.blind_baseline=true")
    test = run_experiment(cfg)["test"]
    assert (test["panoramas"], test["questions"]) == (10, 20)
    run = tmp_path / "runs" / cfg.experiment.name
    listed = [(x["split"], Path(x["image"]).name, x["rows"]) for x in json.loads((run / "skipped.json").read_text())]
    assert listed == [
        (split, name, rows) for split in SPLITS for name, rows in (("3.jpg", [7, 8]), ("7.jpg", [15, 16]))
    ]
    report = (run / "report.html").read_text()
    assert "Skipped rows" in report and "2 panoramas with 4 rows of training" in report
    sighted, blind = (
        [(s.image.name, s.query) for s in read_manifest(run / f"{who}predictions.csv", check_images=False)]
        for who in ("", "blind_")
    )
    assert sighted == blind and {name for name, _ in sighted} == {f"{k}.jpg" for k in range(12)} - {"3.jpg", "7.jpg"}
    record_property("bad images left out", 2)


def test_too_many_stop_a_run_before_it_trains(config, tmp_path, record_property):
    for k in range(3):
        cut(tmp_path / f"{k}.jpg")
    cfg = config()
    with pytest.raises(DataError, match=r"3 of 12 panoramas \(25\.0%\) cannot be used") as caught:
        ThreeStageTrainer(cfg).run()
    assert str(caught.value).count("row ") == 3
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
    record_property("too many bad images", 3)


@pytest.mark.parametrize("cache", ["true", "false"])
def test_an_image_that_turns_bad_later_is_an_error_that_names_it(config, tmp_path, monkeypatch, cache, record_property):
    real = training.run_stage

    def turned(*args, **options):
        cut(tmp_path / "5.jpg")
        return real(*args, **options)

    monkeypatch.setattr(training, "run_stage", turned)
    with pytest.raises(DataError, match=rf"{tmp_path / '5.jpg'}: the image is truncated or damaged"):
        ThreeStageTrainer(config(f"data.cache_features={cache}")).run()
    record_property("image that turns bad while training", 1)
