import json
import re

import pytest

from panollava.config import build_config
from panollava.config.presets import list_presets
from panollava.errors import ConfigError, ModelError
from panollava.geometry import cubemap
from panollava.models.sizes import EncoderSizes, encoder_sizes, tokens_per_view


def test_every_encoder_preset_states_sizes_that_divide():
    for preset in list_presets("vision"):
        sizes = encoder_sizes(preset.name)
        assert sizes is not None and sizes.image_px % sizes.patch_px == 0
        stated = re.search(r"(?:patch|vit[sbl])(\d+)", preset.model_id)
        assert stated is None or int(stated[1]) == sizes.patch_px
        assert encoder_sizes(preset.model_id) == sizes


def test_a_folder_is_read_and_another_id_is_unknown(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {"image_size": 32, "patch_size": 8}}))
    assert encoder_sizes(str(tmp_path)) == EncoderSizes(32, 8)
    assert encoder_sizes("someone/encoder") is None
    with pytest.raises(ConfigError, match="siglip_bas"):
        encoder_sizes("siglip_bas")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="no single image_size"):
        encoder_sizes(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"pool": 2}, 16),
        ({"pool": 1}, 64),
        ({"kind": "perceiver"}, 16),
        ({"kind": "qformer", "queries": 5, "hidden": 24}, 5),
        ({"kind": "c_abstractor", "pool": 3}, 9),
        ({"kind": "bimamba", "hidden": 24, "pool": 4}, 4),
    ],
)
def test_the_plan_is_what_the_model_makes(changes, tokens):
    stage = {"name": "one", "trains": ["projector"], "lr": {"projector": 1e-3}, "epochs": 1}
    cfg = build_config({"resampler": changes, "stages": [stage]}, origin="test")
    assert tokens_per_view(cfg, cubemap(size_px=96), patch_px=12) == (tokens,) * 6


def test_the_plan_equals_the_built_model(tiny_model, tiny_config):
    model = tiny_model()
    sizes = encoder_sizes(tiny_config().vision.model)
    assert model.vision.contract.patch_px == sizes.patch_px
    assert sum(tokens_per_view(tiny_config(), model.layout, patch_px=sizes.patch_px)) == model.token_count


def test_views_that_do_not_divide_are_named():
    with pytest.raises(ModelError, match="view 'front' of 100 x 100 pixels does not divide into patches of 12"):
        tokens_per_view(build_config({}, origin="test"), cubemap(size_px=100), patch_px=12)
