"""A folder of a model is looked over before a library opens it."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from panollava.errors import ModelError
from panollava.models.folder_check import check_folder, check_safetensors, code_references, indexed_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen2", "text_config": {"layers": 2}}')
    save_file({"weight": np.arange(6, dtype=np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def configure(folder, **entries):
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2", **entries}))


def index(folder, **weights):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))


def test_a_good_folder_passes_with_one_file_or_several(folder):
    check_folder(folder)
    shutil.copy(folder / "model.safetensors", folder / "model-1-of-2.safetensors")
    (folder / "model.safetensors").rename(folder / "model-2-of-2.safetensors")
    index(folder, a="model-1-of-2.safetensors", b="model-2-of-2.safetensors")
    check_folder(folder)
    assert indexed_files(folder) == {"model-1-of-2.safetensors", "model-2-of-2.safetensors"}


@pytest.mark.parametrize("kept", [0, 4, 8, 40, -1])
def test_a_file_that_was_cut_off_is_named_with_its_length(folder, kept):
    file = folder / "model.safetensors"
    data = file.read_bytes()[:kept]
    file.write_bytes(data)
    with pytest.raises(ModelError, match=rf"model.safetensors \({len(data)} bytes\) is no whole safetensors.*fetch it"):
        check_folder(folder)


def test_a_file_that_an_index_names_must_be_there(folder):
    index(folder, a="model-1-of-2.safetensors")
    with pytest.raises(ModelError, match=r"model-1-of-2.safetensors is missing, but .*index.json names it"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "a/b.safetensors", "model.bin", ""])
def test_an_index_names_safetensors_of_its_own_folder_only(folder, name):
    index(folder, a=name)
    with pytest.raises(ModelError, match="allowed are safetensors files of the same folder"):
        check_folder(folder)


@pytest.mark.parametrize("table", ["[1]", '{"a": 3}'])
def test_an_index_without_a_table_of_names_is_refused(folder, table):
    (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {table}}}')
    with pytest.raises(ModelError, match="weight_map is no table of file names"):
        check_folder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000])
def test_a_configuration_that_is_no_object_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config.json (is not JSON|holds no JSON object|is missing or empty)"):
        check_folder(folder)


def test_pickled_weights_are_refused_with_the_way_out(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no weights as safetensors. It has pytorch_model.bin, which is not read"):
        check_folder(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"no weights as safetensors. Give a folder with model.safetensors"):
        check_folder(folder)


@pytest.mark.parametrize(
    "entries",
    [
        {"trust_remote_code": True},
        {"text_config": {"trust_remote_code": 1}},
        {"attn_implementation": "owner/kernel"},
        {"_attn_implementation": "owner/kernel@v1:flash"},
        {"vision_config": {"experts_implementation": "owner/kernel"}},
    ],
)
def test_a_configuration_cannot_allow_itself_to_run_programs(folder, entries):
    configure(folder, **entries)
    with pytest.raises(ModelError, match="asks for a program to be run"):
        check_folder(folder)


def test_harmless_entries_of_the_same_names_pass(folder):
    configure(folder, trust_remote_code=False, attn_implementation="sdpa", text_config={"trust_remote_code": None})
    check_folder(folder)


def test_code_is_found_wherever_it_may_be_named(folder):
    assert code_references(folder) == []
    configure(folder, auto_map={"AutoModel": "modeling.M", "AutoConfig": "owner/other--config.C"})
    (folder / "tokenizer").mkdir()
    tokens = {"auto_map": {"AutoTokenizer": ["tokens.Slow", None]}}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(tokens))
    (folder / "processor_config.json").write_text('{"auto_map": "processor.P"}')
    assert code_references(folder) == ["modeling.M", "owner/other--config.C", "processor.P", "tokens.Slow"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.safetensors \(0 bytes\) is no whole"):
        check_safetensors(tmp_path / "none.safetensors")
