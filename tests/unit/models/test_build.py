"""From a configuration to a model."""

import pytest
import torch

from panollava.config.schema import ViewsConfig
from panollava.errors import ModelError
from panollava.geometry import build_layout
from panollava.models.build import EMBEDDED_ROOT, attach_adapter, layout_of, model_source
from panollava.models.vision import load_vision


@pytest.fixture(scope="module")
def encoder(zoo):
    return load_vision(zoo.vision("siglip"), dtype=torch.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hfov_deg": 60, "overlap": 0.25, "pitch_deg": 10.0, "size_px": 16, "global_view": False},
        {"kind": "cubemap", "global_size_px": (16, 32)},
        {"kind": "sliding", "hfov_deg": 60, "pitch_deg": -15.0},
        {"kind": "sliding", "hfov_deg": 60, "vfov_deg": 120},
        {"kind": "resize"},
        {"kind": "resize", "global_size_px": (32, 64)},
        {"kind": "anyres", "anyres_grid": (1, 3)},
    ],
)
def test_the_model_sees_the_views_that_the_configuration_describes(encoder, settings):
    """``panollava views`` shows ``layout_options``: the model must not see anything else."""
    views = ViewsConfig(**settings)
    assert layout_of(views, encoder) == build_layout(views.kind, **views.layout_options(encoder_size_px=32))


def test_sizes_follow_from_the_encoder(encoder):
    groups = layout_of(ViewsConfig(), encoder).groups()
    assert [(g.height_px, g.width_px, len(g.indices)) for g in groups] == [(32, 32, 8), (32, 64, 1)]


def test_the_same_configuration_gives_the_same_weights(tiny_model, snapshot):
    one, two, other = (snapshot(tiny_model(*words, adapter=True)) for words in ((), (), ("experiment.seed=4",)))
    assert all(torch.equal(one[c][n], two[c][n]) for c in one for n in one[c])
    assert not torch.equal(one["projector"]["projector.mlp.0.weight"], other["projector"]["projector.mlp.0.weight"])


def test_every_parameter_belongs_to_one_component(tiny_model):
    model = tiny_model(adapter=True)
    counted = [name for _, name, _ in model.component_parameters()]
    assert sorted(counted) == sorted(name for name, _ in model.named_parameters())
    assert {c for c, _, _ in model.component_parameters()} == {
        "vision", "resampler", "projector", "position", "language", "adapter",
    }  # fmt: skip


def test_a_blind_model_has_a_language_model_and_nothing_else(tiny_model):
    model = tiny_model(blind=True)
    assert {c for c, _, _ in model.component_parameters()} == {"language"}
    assert model.blind and model.token_count == 0


def test_position_may_be_left_out(tiny_model):
    model = tiny_model("position.kind=none")
    assert "position" not in {c for c, _, _ in model.component_parameters()}


def test_an_adapter_that_is_switched_off_is_refused(tiny_config, tiny_model):
    cfg = tiny_config(
        "lora.enabled=false", "stages.finetune.trains=[projector]", "stages.finetune.lr={projector: 1e-3}"
    )
    with pytest.raises(ModelError, match=r"lora.enabled is false; set it to true"):
        attach_adapter(tiny_model(), cfg)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("views.size_px=20", "20 x 20 px does not divide into patches of 8 px"),
        ("resampler.pool=3", "4 x 4 patches do not divide into blocks of 3 x 3"),
        ("resampler.kind=perceiver", None),
    ],
)
def test_parts_that_do_not_fit_say_so(tiny_model, override, message):
    if message is None:
        alone = ("stages.vision.trains=[vision]", "stages.vision.lr.resampler=null")
        assert tiny_model(override, "resampler.queries=3", *alone).token_count == 9 * 3
        return
    with pytest.raises(ModelError, match=message):
        tiny_model(override)


def test_where_a_model_comes_from():
    assert model_source("embedded", role="vision") == str(EMBEDDED_ROOT / "vision")
    assert model_source("qwen_0.5b", role="language") == "Qwen/Qwen2.5-0.5B-Instruct"
