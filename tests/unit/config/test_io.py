"""Files, parents, overrides, and what a person reads when something is wrong."""

from pathlib import Path

import pytest

from panollava.config import (
    PanollavaConfig,
    build_config,
    config_hash,
    dump_config,
    load_config,
    to_dict,
)
from panollava.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def message(data, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        build_config(data, overrides=overrides, origin="x.yaml")
    return str(caught.value)


def test_five_lines_are_enough(tmp_path):
    path = write(tmp_path, "small.yaml", "experiment:\n  name: small\nlora:\n  r: 4\n")
    config = load_config(path)
    assert config.experiment.name == "small"
    assert config.lora.r == 4
    assert [stage.name for stage in config.stages] == ["vision", "resampler", "finetune"]


def test_an_empty_file_and_an_empty_section_are_the_defaults(tmp_path):
    assert load_config(write(tmp_path, "empty.yaml", "# nothing\n")) == PanollavaConfig()
    assert load_config(write(tmp_path, "section.yaml", "views:\n  # kind: e2p\n")) == PanollavaConfig()


@pytest.mark.parametrize("name", ["default.yaml", "tiny.yaml", "quic360.yaml"])
def test_the_files_of_the_project_load_and_survive_a_round_trip(name, tmp_path):
    config = load_config(CONFIGS / name)
    again = load_config(write(tmp_path, "again.yaml", dump_config(config)))
    assert again == config
    assert config_hash(again) == config_hash(config)


def test_the_chain_of_parents_is_merged_from_the_oldest(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path, "a.yaml", "experiment: {name: a, seed: 1}\nviews: {hfov_deg: 75, overlap: 0.25}\n")
    write(tmp_path / "deep", "b.yaml", "base: ../a.yaml\nexperiment: {name: b}\n")
    path = write(tmp_path / "deep", "c.yaml", "base: b.yaml\nviews: {overlap: 0.5}\n")
    config = load_config(path)
    assert (config.experiment.name, config.experiment.seed) == ("b", 1)
    assert (config.views.hfov_deg, config.views.overlap) == (75, 0.5)


def test_a_circle_of_parents_names_the_files(tmp_path):
    write(tmp_path, "a.yaml", "base: b.yaml\n")
    write(tmp_path, "b.yaml", "base: a.yaml\n")
    with pytest.raises(ConfigError, match=r"circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_config(tmp_path / "a.yaml")


def test_a_missing_parent_names_the_child(tmp_path):
    path = write(tmp_path, "a.yaml", "base: defualt.yaml\n")
    with pytest.raises(ConfigError, match=r"defualt\.yaml: there is no such file \(base of .*a\.yaml\)"):
        load_config(path)


def test_a_missing_file_lists_its_neighbours(tmp_path):
    write(tmp_path, "default.yaml", "")
    with pytest.raises(ConfigError, match=r"default\.yml: there is no such file.*: default\.yaml"):
        load_config(tmp_path / "default.yml")


def test_a_file_without_sections_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="expected sections such as 'views:', seen list"):
        load_config(write(tmp_path, "list.yaml", "- 1\n"))


def test_base_is_one_path(tmp_path):
    with pytest.raises(ConfigError, match=r"base: seen \['a'\]; expected the path of one YAML file"):
        load_config(write(tmp_path, "x.yaml", "base: [a]\n"))


def test_a_list_of_stages_replaces_and_a_mapping_changes(tmp_path):
    write(tmp_path, "base.yaml", "stages:\n  - {name: one, trains: [adapter], lr: {adapter: 1e-4}, epochs: 3}\n")
    path = write(tmp_path, "child.yaml", "base: base.yaml\nstages:\n  one: {epochs: null, max_steps: 5}\n")
    (stage,) = load_config(path).stages
    assert (stage.epochs, stage.max_steps, stage.lr) == (None, 5, {"adapter": 1e-4})


def test_a_mapping_of_stages_changes_the_default_stages():
    config = build_config({"stages": {"finetune": {"epochs": 9}}})
    assert [stage.epochs for stage in config.stages] == [1, 1, 9]


def test_overrides_by_key_index_and_name():
    config = build_config(
        {},
        overrides=[
            "views.hfov_deg=75",
            "stages.0.epochs=2",
            "stages.finetune.lr.adapter=5e-4",
            "lora.target_modules=[q_proj, v_proj]",
            "language.system_prompt=null",
            "views.hfov_deg=60",
        ],
    )
    assert config.views.hfov_deg == 60
    assert config.stages[0].epochs == 2
    assert config.stage("finetune").lr["adapter"] == 5e-4
    assert config.lora.target_modules == ("q_proj", "v_proj")


def test_overrides_do_not_touch_their_argument():
    data = {"stages": [{"name": "a", "trains": ["adapter"], "lr": {"adapter": 1e-4}, "epochs": 1}]}
    build_config(data, overrides=["stages.a.epochs=7", "views.hfov_deg=60"])
    assert data["stages"][0]["epochs"] == 1
    assert list(data) == ["stages"]


def test_an_unknown_key_names_its_path_and_the_nearest():
    text = message({"views": {"overlp": 0.3}})
    assert text.startswith("x.yaml: views.overlp: unknown key 'overlp'. Did you mean 'overlap'? Available: ")
    assert "hfov_deg" in text


def test_an_unknown_section_and_an_unknown_key_in_a_list():
    assert "viws: unknown key 'viws'. Did you mean 'views'?" in message({"viws": {}})
    assert message({"data": {"train": [{"sorce": "x"}]}}).startswith(
        "x.yaml: data.train.0.sorce: unknown key 'sorce'. Did you mean 'source'?"
    )


def test_an_unknown_component_has_a_nearest():
    text = message({}, "stages.finetune.lr.adaptr=1e-3")
    assert text.startswith("x.yaml: stages.2.lr.adaptr: unknown key 'adaptr'. Did you mean 'adapter'?")


def test_a_wrong_choice_has_a_nearest():
    text = message({"views": {"kind": "cubmap"}})
    assert text == (
        "x.yaml: views.kind: unknown value 'cubmap'. Did you mean 'cubemap'? "
        "Available: anyres, bands, cubemap, e2p, resize, sliding, tangent."
    )


def test_values_are_not_converted_in_silence():
    assert message({"views": {"hfov_deg": "90"}}) == "x.yaml: views.hfov_deg: seen '90'; allowed: a valid number."
    assert "experiment.seed: seen True" in message({"experiment": {"seed": True}})
    assert "lora.r: seen 4.5" in message({"lora": {"r": 4.5}})


def test_a_value_of_several_forms_names_them_all():
    assert message({"trainer": {"devices": "all"}}) == (
        "x.yaml: trainer.devices: seen 'all'; allowed: auto, or a valid integer."
    )
    assert message({}, "lora.target_modules=[q_proj, 1]") == (
        "x.yaml: lora.target_modules.1: seen 1; allowed: a valid string."
    )


def test_a_number_out_of_range_says_the_range():
    assert message({}, "views.overlap=1") == "x.yaml: views.overlap: seen 1; allowed: less than 1."
    assert "views.overlap: seen nan" in message({"views": {"overlap": float("nan")}})


def test_a_section_that_is_a_value_lists_the_keys():
    assert "views: seen 3; expected a section with the keys kind, hfov_deg" in message({"views": 3})


def test_lists_of_the_wrong_length():
    assert message({"views": {"anyres_grid": [1]}}) == ("x.yaml: views.anyres_grid: seen [1]; the list is too short.")
    assert message({"data": {"train": []}}) == "x.yaml: data.train: seen []; allowed: at least 1 entry."


def test_several_problems_are_told_at_once():
    text = message({"lora": {"rank": 4}, "views": {"kind": 7}})
    assert text.startswith("x.yaml: 2 problems\n")
    assert "  lora.rank: unknown key" in text
    assert "  views.kind: seen 7; allowed: e2p, bands, cubemap, tangent, sliding, resize, anyres." in text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("views.hfov_deg", "override 'views.hfov_deg': write it as path.to.key=value"),
        ("=3", "override '=3': write it as"),
        ("views..kind=e2p", "write it as"),
        ("views.hfov_deg=", "the value is missing; write views.hfov_deg=null for no value"),
        ("stages.finetun.epochs=2", "stages: unknown entry 'finetun'. Did you mean 'finetune'?"),
        ("stages.7.epochs=2", "stages: there is no entry 7; the list has 3"),
        ("vision.model.x=2", "vision.model: is the value 'embedded', not a section"),
        ("lora.target_modules=[a", "override 'lora.target_modules=[a', line 1"),
        ("data.train.first.weight=2", "data.train: is a list; write an index such as data.train.0"),
    ],
)
def test_a_wrong_override_says_what_to_write(override, expected):
    assert expected in message({}, override)


def test_values_that_are_no_plain_data():
    assert "not plain data" in message({"views": {"kind": object()}})


def test_the_hash_changes_with_any_value():
    hashes = {config_hash(build_config({}, overrides=[o])) for o in ("lora.r=4", "lora.r=8", "experiment.seed=1")}
    assert len(hashes) == 3
    assert config_hash(PanollavaConfig()) == config_hash(build_config({}))


def test_the_dict_form_is_plain_and_complete():
    data = to_dict(PanollavaConfig())
    assert build_config(data) == PanollavaConfig()
    assert data["views"]["anyres_grid"] == [2, 4]


def test_the_tree_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        PanollavaConfig().views.hfov_deg = 3.0
