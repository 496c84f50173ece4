"""Pretrained models of somebody else: weights are safetensors, and code beside them is not run."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from panollava.errors import ModelError
from panollava.models.language import load_language
from panollava.models.vision import load_vision


@pytest.fixture
def language(zoo, tmp_path):
    """Return a copy of a good language model."""
    return Path(shutil.copytree(zoo.language("qwen2"), tmp_path / "language"))


@pytest.fixture
def vision(zoo, tmp_path):
    """Return a copy of a good encoder."""
    return Path(shutil.copytree(zoo.vision("siglip"), tmp_path / "vision"))


def load(folder):
    loader = load_language if folder.name == "language" else load_vision
    return loader(folder, dtype=torch.float32)


@pytest.mark.parametrize("part", ["language", "vision"])
@pytest.mark.parametrize("kind", ["plain", "torch"])
def test_a_pickle_that_is_called_safetensors(request, marker, hostile, refused, part, kind):
    folder = request.getfixturevalue(part)
    (folder / "model.safetensors").write_bytes(hostile.pickled(marker, kind))
    with pytest.raises(ModelError) as error:
        load(folder)
    refused(error, folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "tf_model.h5", "flax_model.msgpack"])
@pytest.mark.parametrize("part", ["language", "vision"])
def test_weights_of_a_format_that_may_run_code(request, marker, hostile, refused, part, name):
    folder = request.getfixturevalue(part)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(hostile.pickled(marker, "torch"))
    with pytest.raises(ModelError) as error:
        load(folder)
    refused(error, folder)


@pytest.mark.parametrize("name", ["../outside.safetensors", "{outside}", "pytorch_model-00001-of-00001.bin"])
def test_an_index_of_weights_that_names_files_elsewhere(language, marker, hostile, refused, name):
    outside = language.parent / "outside.safetensors"
    outside.write_bytes((language / "model.safetensors").read_bytes())
    (language / "model.safetensors").unlink()
    (language / "pytorch_model-00001-of-00001.bin").write_bytes(hostile.pickled(marker, "torch"))
    index = {"metadata": {}, "weight_map": {"model.norm.weight": name.format(outside=outside)}}
    (language / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError) as error:
        load(language)
    refused(error, language)


@pytest.mark.parametrize("part", ["language", "vision"])
def test_a_model_that_brings_its_own_code(request, marker, hostile, refused, part):
    folder = request.getfixturevalue(part)
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoModelForCausalLM": "evil.M"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": classes}))
    (folder / "evil.py").write_text(hostile.python(marker))
    with pytest.raises(ModelError) as error:
        load(folder)
    refused(error, folder)


def test_code_beside_an_architecture_that_is_known_is_not_run(language, marker, hostile):
    config = json.loads((language / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    (language / "config.json").write_text(json.dumps(config))
    (language / "evil.py").write_text(hostile.python(marker))
    load(language)


@pytest.mark.parametrize(
    "template",
    [
        "{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}",
        "{{% for c in ().__class__.__base__.__subclasses__() %}}{{{{ c.__init__.__globals__ }}}}{{% endfor %}}",
        "{{{{ cycler.__init__.__globals__.os.mkdir('{marker}') }}}}",
    ],
)
def test_a_chat_template_that_reaches_out_of_its_sandbox(language, marker, template):
    from panollava.text.chat import chat_format

    _, tokenizer = load(language)
    tokenizer.chat_template = template.format(marker=marker)
    with pytest.raises(Exception, match=r"unsafe|undefined|chat template") as error:
        chat_format(tokenizer, system_prompt="")
    assert "subclasses" not in str(error.value) or "unsafe" in str(error.value)
