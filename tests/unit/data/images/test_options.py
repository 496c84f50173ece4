"""The options of reading: what is refused, and which of them give other pixels."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from panollava.config import build_config
from panollava.config.images import ImagesConfig
from panollava.data.images import DEFAULT_OPTIONS, ImageOptions, Pose, ToneMap
from panollava.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pad": True, "assume_full": True}, "pad and assume_full are both true"),
        ({"tone_map": "rheinhard"}, "unknown tone_map 'rheinhard'. Did you mean 'reinhard'?"),
        ({"pose": "south"}, "unknown pose 'south'"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"max_bytes": -1}, "max_bytes is -1"),
    ],
)
def test_options_that_mean_nothing_are_refused(change, words):
    with pytest.raises(DataError) as caught:
        ImageOptions(**change)
    assert words in str(caught.value)


def test_the_defaults_are_those_of_the_configuration():
    assert ImageOptions.from_settings(ImagesConfig()) == DEFAULT_OPTIONS


def test_every_setting_arrives():
    data = {"max_megapixels": 1.5, "max_megabytes": 2, "pad": True, "tone_map": "clip", "pose": "north"}
    options = ImageOptions.from_settings(build_config({"data": {"images": data}}).data.images)
    assert options == ImageOptions(1_500_000, 2_000_000, True, False, "clip", "north")
    full = ImageOptions.from_settings(build_config({"data": {"images": {"assume_full": True}}}).data.images)
    assert full == ImageOptions(assume_full=True)


def test_the_configuration_knows_the_same_names():
    for name in get_args(ToneMap):
        assert ImagesConfig(tone_map=name).tone_map == name
    for name in get_args(Pose):
        assert ImagesConfig(pose=name).pose == name
    with pytest.raises(ConfigError, match="both true"):
        build_config({"data": {"images": {"pad": True, "assume_full": True}}})


def test_the_document_lists_every_option_with_its_default():
    page = (Path(__file__).parents[4] / "docs" / "reading-images.md").read_text()
    rows = re.findall(r"^\| `(\w+)`(?: \(`\w+`\))? \| ([^ |]+)", page.split("## Options")[1], re.MULTILINE)
    told = {name: default.strip("`") for name, default in rows if name in ImagesConfig.model_fields}
    defaults = {name: field.default for name, field in ImagesConfig.model_fields.items()}
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value).lower() for name, value in defaults.items()}
    assert told == shown


def test_options_that_give_other_pixels_have_other_signatures():
    shapes = [{}, {"pad": True}, {"assume_full": True}]
    choices = product(shapes, (None, *get_args(ToneMap)), get_args(Pose))
    made = [ImageOptions(tone_map=tone, pose=pose, **shape) for shape, tone, pose in choices]
    assert len({options.signature() for options in made}) == len(made) == 36
    assert replace(made[0], max_pixels=5, max_bytes=7).signature() == made[0].signature()
