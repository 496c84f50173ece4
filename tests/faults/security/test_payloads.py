"""The payloads of these tests do what they say where they are opened by what panollava does not use."""

import importlib.util
import io
import pickle
import zipfile

import pytest
import torch
import yaml


@pytest.mark.parametrize("kind", ["plain", "torch", "old torch", "zip"])
def test_a_pickle_makes_its_marker(hostile, tmp_path, kind):
    raw, place = hostile.pickled(tmp_path / "made", kind), tmp_path / "made"
    if kind in ("plain", "zip"):
        pickle.loads(raw if kind == "plain" else zipfile.ZipFile(io.BytesIO(raw)).read("archive/data.pkl"))
    else:
        torch.load(io.BytesIO(raw), weights_only=False)
    assert place.is_dir()


def test_a_yaml_tag_makes_its_marker(tmp_path):
    yaml.unsafe_load(f"!!python/object/apply:os.mkdir [{tmp_path / 'made'}]")
    assert (tmp_path / "made").is_dir()


def test_a_python_file_makes_its_marker(hostile, tmp_path):
    file = tmp_path / "their.py"
    file.write_text(hostile.python(tmp_path / "made"))
    spec = importlib.util.spec_from_file_location("their", file)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert (tmp_path / "made").is_dir()
