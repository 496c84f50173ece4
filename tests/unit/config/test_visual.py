"""Resampler and position: the keys that a kind reads, and the stage that needs a grid."""

import inspect
from typing import get_args

import pytest

from panollava.config import build_config, to_dict
from panollava.config.visual import POSITION_READS, RESAMPLER_READS, PositionConfig, ResamplerConfig
from panollava.errors import ConfigError


def check(**sections):
    return build_config(sections, origin="test")


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("resampler", {"queries": 32}, r"queries is 32, but kind: mlp does not read it; the kinds that do: perceiver, "
         r"qformer. Remove it, or write its default, 16"),
        ("resampler", {"kind": "spatial_pool", "hidden": 8}, r"hidden is 8, but kind: spatial_pool .* default, null"),
        ("resampler", {"kind": "bimamba", "keep": 0.25}, r"keep is 0.25, but kind: bimamba .* do: masked_drop"),
        ("position", {"degree": 3}, r"degree is 3, but kind: ray does not read it; the kinds that do: spherical"),
        ("position", {"kind": "seed", "harmonics": 4}, r"harmonics is 4, but kind: seed .* do: ray, rotary"),
    ],
)  # fmt: skip
def test_a_key_that_the_kind_does_not_read_is_refused(section, values, message):
    with pytest.raises(ConfigError, match=f"{section}: {message}"):
        check(**{section: values})


def test_defaults_may_be_written_out():
    cfg = check(resampler={"kind": "spatial_pool"}, position={"kind": "rotary", "harmonics": 4})
    assert build_config(to_dict(cfg), origin="test") == cfg


def test_position_none_is_a_switch_and_leaves_the_rest_as_it_is():
    assert check(position={"kind": "none", "harmonics": 4}).position.harmonics == 4


def test_every_kind_says_what_it_reads_and_every_key_has_a_reader():
    for section, reads, spare in (
        (ResamplerConfig, RESAMPLER_READS, set()),
        (PositionConfig, POSITION_READS, {"none"}),
    ):
        assert set(get_args(section.model_fields["kind"].annotation)) - spare == set(reads)
        assert {key for keys in reads.values() for key in keys} == set(section.model_fields) - {"kind"}


def test_a_kind_reads_what_its_class_takes():
    from panollava.models.positions import RayPosition, RotaryPosition, SphericalPosition
    from panollava.models.resamplers import (
        BiMambaResampler,
        CAbstractorResampler,
        MaskedDropResampler,
        MlpResampler,
        PerceiverResampler,
        QFormerResampler,
        SpatialPoolResampler,
    )

    classes = {
        "mlp": MlpResampler, "perceiver": PerceiverResampler, "qformer": QFormerResampler,
        "c_abstractor": CAbstractorResampler, "spatial_pool": SpatialPoolResampler,
        "masked_drop": MaskedDropResampler, "bimamba": BiMambaResampler,
    }  # fmt: skip
    for kind, keys in RESAMPLER_READS.items():
        assert set(inspect.signature(classes[kind]).parameters) - {"width", "seed"} == set(keys), kind
    for kind, made in (("ray", RayPosition), ("spherical", SphericalPosition), ("rotary", RotaryPosition)):
        assert set(inspect.signature(made).parameters) - {"width", "scale"} == set(POSITION_READS[kind]), kind


@pytest.mark.parametrize("kind", ["perceiver", "qformer"])
def test_the_overlap_stage_refuses_tokens_without_a_place(kind):
    message = (
        rf"stages.vision.trains: resampler on objective overlap, .* resampler.kind: {kind} have none. Choose a kind "
        r"that keeps a grid \(mlp, c_abstractor, spatial_pool, masked_drop, bimamba\), or remove resampler"
    )
    with pytest.raises(ConfigError, match=message):
        check(resampler={"kind": kind})
    alone = {"name": "vision", "trains": ["vision"], "objective": "overlap", "lr": {"vision": 1e-5}, "epochs": 1}
    assert check(resampler={"kind": kind}, stages=[alone]).resampler.kind == kind
    language = {"name": "two", "trains": ["resampler"], "lr": {"resampler": 1e-3}, "epochs": 1}
    assert check(resampler={"kind": kind}, stages=[alone, language]).resampler.kind == kind
