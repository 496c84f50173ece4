"""From the data section to samples: where bad images are skipped, training, validation and test go on without them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from panollava.config import build_config
from panollava.config.schema import PanollavaConfig
from panollava.data.skipped import read_skipped
from panollava.data.sources import evaluation_samples, held_out, record_held_out, training_panoramas
from panollava.errors import DataError

Maker = Callable[..., PanollavaConfig]


@pytest.fixture
def config(tmp_path: Path) -> Maker:
    """Return a maker of configurations over ten panoramas, two rows each; the third is cut, the sixth not there."""
    for k in range(10):
        Image.effect_noise((64, 32), 60).convert("RGB").save(tmp_path / f"{k}.jpg")
    (tmp_path / "2.jpg").write_bytes((tmp_path / "2.jpg").read_bytes()[:500])
    (tmp_path / "5.jpg").unlink()
    rows = [{"image": f"{k}.jpg", "query": "q", "answer": "a", "type": kind} for k in range(10) for kind in "xy"]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def make(**data: Any) -> PanollavaConfig:
        whole = {split: [{"source": str(tmp_path / f"{split}.jsonl")}] for split in ("train", "val", "test")}
        paths = {"runs": str(tmp_path / "runs"), "data": str(tmp_path / "cache")}
        policy = {"on_bad_image": "skip", "max_bad_fraction": 0.2}
        return build_config({"paths": paths, "data": {**whole, **policy, **data}})

    return make


def names(panoramas: list[Any]) -> list[str]:
    return [one.image.name for one in panoramas]


GOOD = [f"{k}.jpg" for k in range(10) if k not in (2, 5)]


def test_bad_panoramas_are_left_out_of_every_split_and_listed(config: Maker, tmp_path: Path):
    cfg = config()
    for split, entries in (("train", cfg.data.train), ("val", cfg.data.val)):
        found = training_panoramas(entries, cfg, split=split)
        assert names(found) == GOOD and all(len(one.samples) == 2 for one in found)
    assert names(evaluation_samples(cfg)) == [name for name in GOOD for _ in range(2)]
    listed = read_skipped(tmp_path / "runs" / "default")
    assert [(split, Path(one.image).name, one.rows) for split, one in listed] == [
        (split, name, rows)
        for split in ("train", "val", "test")
        for name, rows in (("2.jpg", (5, 6)), ("5.jpg", (11, 12)))
    ]


def test_the_default_is_to_stop_and_to_name_file_and_row(config: Maker, tmp_path: Path):
    cfg = build_config({"data": {"train": [{"source": str(tmp_path / "train.jsonl")}]}})
    with pytest.raises(DataError, match=r"train\.jsonl, row 11, column 'image': no image file '.*5\.jpg'"):
        training_panoramas(cfg.data.train, cfg, split="train")
    assert not (tmp_path / "runs").exists()


def test_too_many_stop_the_run(config: Maker):
    cfg = config(max_bad_fraction=0.1)
    with pytest.raises(DataError, match=r"2 of 10 panoramas \(20\.0%\) cannot be used"):
        training_panoramas(cfg.data.train, cfg, split="train")
    with pytest.raises(DataError, match=r"data\.max_bad_fraction=0\.1"):
        evaluation_samples(cfg)


def test_a_malformed_manifest_remains_an_error(config: Maker, tmp_path: Path):
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"image": "1.jpg", "query": ""}\n')
    cfg = config()
    with pytest.raises(DataError, match=r"train\.jsonl, row 21"):
        training_panoramas(cfg.data.train, cfg, split="train")


def test_a_way_out_of_the_folder_remains_an_error(config: Maker, tmp_path: Path):
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"image": "../1.jpg", "query": "q", "answer": "a"}\n')
    cfg = config()
    with pytest.raises(DataError, match=r"leaves the image root"):
        training_panoramas(cfg.data.train, cfg, split="train")


def test_kinds_and_weights_do_not_change_which_panoramas_are_left(config: Maker, tmp_path: Path):
    entry = {"source": str(tmp_path / "train.jsonl")}
    one = config(train=[{**entry, "kinds": ["x"]}])
    two = config(train=[{**entry, "weight": 0.5}, {**entry, "kinds": ["y"]}])
    assert names(training_panoramas(one.data.train, one, split="train")) == GOOD
    assert sorted(names(training_panoramas(two.data.train, two, split="train"))) == GOOD
    [first, _] = read_skipped(tmp_path / "runs" / "default")
    assert first[1].rows == (5, 6)


def test_only_what_is_scored_is_opened(config: Maker, tmp_path: Path):
    cfg = config(max_bad_fraction=0.0)
    cut = cfg.model_copy(update={"evaluation": cfg.evaluation.model_copy(update={"max_samples": 4})})
    assert names(evaluation_samples(cut)) == ["0.jpg", "0.jpg", "1.jpg", "1.jpg"]


def test_a_test_set_of_ones_own_says_what_was_left_out(config: Maker, tmp_path: Path):
    cfg = config()
    found = held_out(cfg, manifest=tmp_path / "test.jsonl")
    assert len(found.samples) == 16 and found.skipped_questions == 4
    assert [Path(one.image).name for one in found.skipped] == ["2.jpg", "5.jpg"]
    record_held_out(tmp_path / "eval-test", found, cfg)
    assert {split for split, _ in read_skipped(tmp_path / "eval-test")} == {"test"}


def test_the_list_is_of_this_run_alone(config: Maker, tmp_path: Path):
    cfg, folder = config(), tmp_path / "runs" / "default"
    training_panoramas(cfg.data.train, cfg, split="train")
    evaluation_samples(cfg)
    Image.effect_noise((64, 32), 60).convert("RGB").save(tmp_path / "2.jpg")
    training_panoramas(cfg.data.train, cfg, split="train")
    assert [(split, Path(one.image).name) for split, one in read_skipped(folder)] == [
        ("test", "2.jpg"),
        ("test", "5.jpg"),
        ("train", "5.jpg"),
    ]
    Image.effect_noise((64, 32), 60).convert("RGB").save(tmp_path / "5.jpg")
    other = config(test=[], on_bad_image="raise")
    training_panoramas(other.data.train, other, split="train")
    assert not (folder / "skipped.json").exists()


@pytest.mark.parametrize("text", ["", "{}x", '[{"split": "train"}]', "[1]", "3", '[{"rows": 1}]'])
def test_a_damaged_list_is_named(tmp_path: Path, text: str):
    (tmp_path / "skipped.json").write_text(text)
    with pytest.raises(DataError, match=r"skipped\.json: not a list of skipped images"):
        read_skipped(tmp_path)
