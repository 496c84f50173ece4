"""Configurations and studies of somebody else: YAML is data, and names stay names."""

import json

import pytest

from panollava.config.io import load_config
from panollava.config.study import read_study
from panollava.errors import ConfigError

YAML = {
    "object/apply": "!!python/object/apply:os.mkdir [{marker}]",
    "object/apply list": "!!python/object/apply:os.system ['mkdir {marker}']",
    "object/new": "!!python/object/new:os.mkdir [{marker}]",
    "object": "!!python/object:pathlib.Path {{}}",
    "name": "!!python/name:os.mkdir",
    "module": "!!python/module:hostile",
    "tuple": "!!python/tuple [1, 2]",
    "subprocess": "!!python/object/apply:subprocess.check_call [[mkdir, {marker}]]",
    "eval": "!!python/object/apply:builtins.eval [\"__import__('os').mkdir('{marker}')\"]",
    "long tag": "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [{marker}]",
    "own tag": "!include /etc/passwd",
}


@pytest.mark.parametrize("name", YAML)
@pytest.mark.parametrize("reader", [load_config, read_study], ids=["configuration", "study"])
def test_yaml_with_a_tag_that_makes_an_object(tmp_path, marker, refused, name, reader):
    file = tmp_path / "their.yaml"
    file.write_text(f"experiment:\n  name: {YAML[name].format(marker=marker)}\n")
    with pytest.raises(ConfigError, match="line 2") as error:
        reader(file)
    refused(error, file)


@pytest.mark.parametrize("key", ["experiment.name", "views.kind", "language.model"])
def test_an_override_with_such_a_tag(tmp_path, marker, key):
    file = tmp_path / "mine.yaml"
    file.write_text("{}")
    with pytest.raises(ConfigError):
        load_config(file, overrides=[f"{key}={YAML['object/apply'].format(marker=marker)}"])


def test_aliases_that_grow_without_end(tmp_path, marker, refused):
    rows = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)]
    file = tmp_path / "laughs.yaml"
    file.write_text("\n".join(["l0: &l0 [lol]", *rows]))
    with pytest.raises(ConfigError, match="aliases") as error:
        load_config(file)
    refused(error, file)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/b", "x; mkdir MARKER", "$(mkdir MARKER)", ".."])
def test_a_run_whose_name_leads_elsewhere(tmp_path, marker, name):
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"experiment": {"name": name}}))
    with pytest.raises(ConfigError, match=r"experiment\.name"):
        load_config(file)
