"""The rules that join several keys, and a walk over the whole schema."""

import re
from pathlib import Path

import pytest

from panollava.config import build_config
from panollava.config.schema import PanollavaConfig, walk_fields
from panollava.config.sections import ViewsConfig
from panollava.errors import ConfigError
from panollava.geometry import build_layout

SOURCE = Path(__file__).parents[3] / "src" / "panollava"


def stage(**changes) -> dict:
    row = {"name": "s", "trains": ["adapter"], "lr": {"adapter": 1e-4}, "epochs": 1}
    return {"stages": [{**row, **changes}]}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            stage(epochs=None),
            "stages.0: epochs=None, max_steps=None: give exactly one of epochs and max_steps",
        ),
        (stage(max_steps=3), "epochs=1, max_steps=3: give exactly one"),
        (stage(trains=["vision"]), "trains vision, but lr has no rate for it; add lr.vision"),
        (
            stage(lr={"adapter": 1e-4, "vision": 1e-5}),
            "lr.vision is given, but the stage does not train vision",
        ),
        (stage(objective="overlap"), "objective overlap cannot train adapter"),
        (stage(trains=["adapter", "adapter"]), "trains lists a component twice"),
        (stage(trains=[]), "stages.0.trains: seen []; allowed: at least 1 entry"),
        (stage(lr={"adapter": 0}), "stages.0.lr.adapter: seen 0; allowed: greater than 0"),
        (stage(name="a/b"), "stages.0.name: seen 'a/b'; allowed: letters"),
        ({**stage(), "lora": {"enabled": False}}, "stages.s.trains: adapter, but lora.enabled is false"),
        ({"stages": stage()["stages"] * 2}, "the name 's' is used 2 times"),
        ({"stages": []}, "stages: seen []; allowed: at least 1 entry"),
        ({"stages": [{"trains": ["adapter"], "epochs": 1}]}, "stages.0.name: this key is required"),
        ({"lora": {"target_modules": []}}, "target_modules is empty"),
        ({"views": {"hfov_deg": 180}}, "hfov_deg is 180.0, but a perspective view"),
        ({"views": {"anyres_grid": [0, 4]}}, "anyres_grid is [0, 4]; both numbers must be at least 1"),
        ({"trainer": {"devices": 0}}, "devices is 0; allowed: auto, -1 (all) or a number from 1"),
    ],
)
def test_rules_over_several_keys(data, expected):
    with pytest.raises(ConfigError) as caught:
        build_config(data)
    assert expected in str(caught.value)


def test_a_null_rate_removes_an_inherited_one():
    config = build_config({}, overrides=["stages.vision.trains=[vision]", "stages.vision.lr.resampler=null"])
    assert config.stage("vision").lr == {"vision": 1e-5}


def test_overlap_may_train_encoder_and_resampler():
    both = {"vision": 1e-5, "resampler": 1e-3}
    assert build_config(stage(trains=list(both), lr=both, objective="overlap")).stages[0].objective == "overlap"


def test_a_stage_that_does_not_exist_is_a_key_error():
    with pytest.raises(KeyError):
        PanollavaConfig().stage("nope")


def test_every_key_is_described_and_listed_once():
    fields = list(walk_fields())
    paths = [field.path for field in fields]
    assert len(paths) == len(set(paths))
    assert {"views.hfov_deg", "stages.*.lr", "stages.*.overlap.variance", "data.train.*.source"} <= set(paths)
    assert [field.path for field in fields if not field.description] == []
    assert [field.path for field in fields if field.required] == [
        "stages.*.name",
        "stages.*.trains",
        "stages.*.lr",
    ]


def test_the_walk_and_the_defaults_agree():
    """Each leaf that the walk reports is a leaf of the dumped defaults, with that default."""
    data = PanollavaConfig().model_dump(mode="python")
    for field in walk_fields():
        if ".*" in field.path:
            continue
        section, key = field.path.rsplit(".", 1)
        node = data
        for part in section.split("."):
            node = node[part]
        assert node[key] == field.default, field.path


@pytest.mark.parametrize("kind", ["e2p", "cubemap", "sliding", "resize", "anyres"])
def test_every_kind_of_views_builds_its_layout(kind):
    views = ViewsConfig(kind=kind, size_px=32)
    layout = build_layout(kind, **views.layout_options(encoder_size_px=224))
    assert layout.name == kind
    assert {group.height_px for group in layout.groups()} == {32}
    assert any(view.is_global for view in layout.views)


def test_the_size_of_a_view_defaults_to_the_encoders():
    assert ViewsConfig().layout_options(encoder_size_px=96)["size_px"] == 96
    assert ViewsConfig(global_view=False).layout_options(encoder_size_px=96)["global_size_px"] is None


def test_the_names_of_the_layouts_agree_with_geometry():
    from panollava.cli.views import LAYOUTS
    from panollava.geometry.layouts import BUILDERS

    choices = re.findall(r'"(\w+)"', str(ViewsConfig.model_fields["kind"].annotation).replace("'", '"'))
    assert set(choices) == set(BUILDERS) == set(LAYOUTS)


def test_the_default_metrics_are_those_of_the_metrics_room():
    from panollava.metrics import DEFAULT_METRICS

    assert PanollavaConfig().evaluation.metrics == DEFAULT_METRICS
