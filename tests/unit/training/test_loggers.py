"""Loggers: two that are there, two that a package of their own brings."""

import sys
import types

import pytest

from panollava.errors import ConfigError, TrainingError
from panollava.models.build import build_model
from panollava.training.loggers import TrackioLogger, build_loggers
from panollava.training.stages import run_stage


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_an_absent_package_is_named_with_the_way_to_it(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrainingError, match=rf"names {name}.*pip install 'panollava\[{name}\]', or leave it out"):
        build_loggers((name,), folder=tmp_path, run="run", stage="vision")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(TrainingError, match=r"unknown logger 'trackoi'\. Did you mean 'trackio'"):
        build_loggers(("trackoi",), folder=tmp_path, run="run", stage="vision")


def test_only_what_is_asked_for_is_written(tiny_config, panoramas, tmp_path):
    cfg = tiny_config("trainer.loggers=[csv]")
    run_stage(
        build_model(cfg), cfg.stage("resampler"), cfg, train=panoramas("train"), val=(), run_dir=tmp_path, trained=set()
    )
    names = {p.name.split(".")[0] for p in (tmp_path / "logs" / "resampler").iterdir()}
    assert "metrics" in names and "events" not in names


def test_trackio_gets_the_curves_of_a_stage(tiny_config, panoramas, tmp_path, monkeypatch):
    told = []
    fake = types.ModuleType("trackio")
    fake.init = lambda *, project, name: told.append(("init", project, name))
    fake.log = lambda metrics, *, step: told.append(("log", step, metrics))
    fake.finish = lambda: told.append(("finish",))
    monkeypatch.setitem(sys.modules, "trackio", fake)
    cfg = tiny_config("trainer.loggers=[trackio]")
    run_stage(
        build_model(cfg), cfg.stage("resampler"), cfg,
        train=panoramas("train"), val=panoramas("val")[:1], run_dir=tmp_path / "myrun", trained=set(),
    )  # fmt: skip
    assert told[0] == ("init", "myrun", "resampler") and told[-1] == ("finish",)
    keys = {key for kind, *rest in told if kind == "log" for key in rest[1]}
    assert {"train/loss", "lr", "val/loss", "speed/rows_per_s"} <= keys
    assert [rest[0] for kind, *rest in told if kind == "log" and "train/loss" in rest[1]] == [0, 1]


def test_of_several_processes_one_sends_to_trackio(monkeypatch):
    told = []
    fake = types.SimpleNamespace(init=lambda **_: told.append("init"), log=lambda *_, **__: told.append("log"))
    logger = TrackioLogger(fake, project="p", name="n")
    monkeypatch.setenv("RANK", "1")
    logger.log_metrics({"a": 1.0}, step=0)
    assert told == []
    monkeypatch.setenv("RANK", "0")
    logger.log_metrics({"a": 1.0}, step=0)
    assert told == ["init", "log"]


def test_the_same_logger_twice_is_refused(tiny_config):
    with pytest.raises(ConfigError, match="loggers lists one twice: csv, csv"):
        tiny_config("trainer.loggers=[csv, csv]")
