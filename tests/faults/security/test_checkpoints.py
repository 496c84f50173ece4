"""Checkpoints of somebody else: nothing in them is run, and nothing outside them is read."""

import json
import logging
import os
import shutil

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from panollava.checkpoints.format import load_checkpoint
from panollava.checkpoints.listing import look
from panollava.checkpoints.manifest import META
from panollava.checkpoints.state import load_training
from panollava.cli.program import main
from panollava.errors import CheckpointError
from panollava.inference.session import Session
from panollava.workflow import EvaluationRunner


@pytest.mark.parametrize("kind", ["plain", "torch", "old torch", "zip"])
def test_weights_of_a_checkpoint_that_are_a_pickle(checkpoint, marker, hostile, refused, kind):
    (checkpoint / "projector.safetensors").write_bytes(hostile.pickled(marker, kind))
    hostile.write_manifest(checkpoint)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(checkpoint)
    refused(error, checkpoint, "projector.safetensors")


@pytest.mark.parametrize("name", ["meta.json", "manifest.json"])
def test_json_of_a_checkpoint_that_is_a_pickle(checkpoint, marker, hostile, refused, name):
    (checkpoint / name).write_bytes(hostile.pickled(marker))
    if name != "manifest.json":
        hostile.write_manifest(checkpoint)
    with pytest.raises(CheckpointError) as error:
        Session.load(checkpoint)
    refused(error, checkpoint, name)
    assert look(checkpoint, verify=True).state == "damaged"


@pytest.mark.parametrize("name", ["training.safetensors", "training.json"])
def test_state_of_training_that_is_a_pickle(checkpoint, marker, hostile, refused, name):
    for file in ("training.safetensors", "training.json"):
        (checkpoint / file).write_bytes(hostile.pickled(marker))
    if name == "training.json":
        save_file({"x": np.zeros(1, np.float32)}, checkpoint / "training.safetensors")
    else:
        (checkpoint / "training.json").write_text("{}")
    hostile.write_manifest(checkpoint)
    with pytest.raises(CheckpointError) as error:
        load_training(checkpoint)
    refused(error, checkpoint, name)


@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".safetensors"])
def test_a_pickle_in_place_of_a_checkpoint(tmp_path, marker, hostile, suffix, capsys):
    file = tmp_path / f"model{suffix}"
    file.write_bytes(hostile.pickled(marker, "torch"))
    assert main(["ask", "--checkpoint", str(file), "pano.jpg", "what is this?"]) == 1
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../outside.safetensors", "{outside}", "sub/../../outside.safetensors", "a\0b", ".."])
def test_a_manifest_that_names_files_elsewhere(checkpoint, tmp_path, marker, hostile, refused, name):
    outside = checkpoint.parent / "outside.safetensors"
    shutil.copyfile(checkpoint / "projector.safetensors", outside)
    manifest = json.loads((checkpoint / "manifest.json").read_text())["files"]
    manifest[name.format(outside=outside)] = manifest["projector.safetensors"]
    hostile.write_manifest(checkpoint, manifest)
    with pytest.raises(CheckpointError, match="no plain name") as error:
        load_checkpoint(checkpoint)
    refused(error, checkpoint, "manifest.json")


def test_a_file_of_a_checkpoint_that_is_a_link(checkpoint, marker):
    outside = checkpoint.parent / "outside.safetensors"
    (checkpoint / "projector.safetensors").rename(outside)
    (checkpoint / "projector.safetensors").symlink_to(outside)
    with pytest.raises(CheckpointError, match=r"projector\.safetensors is a link"):
        load_checkpoint(checkpoint)


def test_a_file_of_a_checkpoint_that_is_a_pipe(checkpoint, marker):
    (checkpoint / "projector.safetensors").unlink()
    os.mkfifo(checkpoint / "projector.safetensors")  # to open it in the plain way would wait for ever
    with pytest.raises(CheckpointError, match=r"projector\.safetensors is no plain file"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "name", ["__init__.py", "modeling_last.py", "sitecustomize.py", "conftest.py", "torch.py", "resampler.py"]
)
def test_code_beside_the_weights_is_not_imported(checkpoint, marker, hostile, name, monkeypatch):
    for folder in (checkpoint, checkpoint.parent, checkpoint.parent.parent):
        (folder / name).write_text(hostile.python(marker))
    hostile.write_manifest(checkpoint)  # even if the checkpoint vouches for it
    monkeypatch.chdir(checkpoint)
    assert load_checkpoint(checkpoint)[1].stage == "finetune"


def changed_meta(checkpoint, change, hostile):
    meta = json.loads((checkpoint / META).read_text())
    change(meta["config"])
    (checkpoint / META).write_text(json.dumps(meta))
    hostile.write_manifest(checkpoint)
    run = checkpoint.parent.parent
    (run / "config.yaml").write_text(yaml.safe_dump(meta["config"]))
    return run


def test_a_metric_that_a_checkpoint_names_is_not_run(checkpoint, tmp_path, marker, hostile, caplog):
    code = tmp_path / "metric.py"
    code.write_text(hostile.python(marker))
    run = changed_meta(checkpoint, lambda c: c["evaluation"].update(custom_metrics={"mine": f"{code}:score"}), hostile)
    with caplog.at_level(logging.WARNING):
        metrics = EvaluationRunner().run(checkpoint_dir=run, out_dir=tmp_path / "out")
    assert sorted(metrics["model"]["captions"]) == ["bleu4", "rougeL"]
    assert f"evaluation.custom_metrics.mine: {code}:score" in caplog.text and "--config" in caplog.text


def test_java_that_a_checkpoint_names_is_not_run(checkpoint, tmp_path, marker, hostile, caplog, monkeypatch):
    asked = []
    monkeypatch.setattr("panollava.workflow.evaluation.spice_metric", lambda s: asked.append(s) or pytest.skip)
    run = changed_meta(checkpoint, lambda c: c["evaluation"]["spice"].update(corenlp=str(tmp_path / "jars")), hostile)
    with caplog.at_level(logging.WARNING):
        EvaluationRunner().run(checkpoint_dir=run, out_dir=tmp_path / "out")
    assert [settings.corenlp for settings in asked] == [None]
    assert "evaluation.spice.corenlp" in caplog.text
