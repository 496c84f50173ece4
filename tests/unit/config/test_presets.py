"""Names for models."""

import pytest

from panollava.config import list_presets, resolve_model
from panollava.errors import ConfigError


def test_the_promised_models_are_there():
    names = {preset.name for preset in list_presets("language")}
    assert names >= {f"qwen_{s}b" for s in ("0.5", "1.5", "3", "7", "14")} | {
        "llama_1b",
        "llama_3b",
        "gemma_2b",
        "gemma_9b",
    }
    assert {preset.name for preset in list_presets("vision")} >= {
        f"{family}_{size}" for family in ("siglip", "clip", "dinov2") for size in ("base", "large")
    }


def test_names_are_unique():
    names = [preset.name for preset in list_presets()]
    assert len(names) == len(set(names))


def test_ids_folders_and_embedded_pass(tmp_path):
    assert resolve_model("google/siglip-base-patch16-224", role="vision") == "google/siglip-base-patch16-224"
    assert resolve_model(str(tmp_path), role="vision") == str(tmp_path)
    assert resolve_model("embedded", role="language") == "embedded"
    assert resolve_model("qwen_3b", role="language") == "Qwen/Qwen2.5-3B-Instruct"


def test_a_wrong_name_has_a_nearest_of_its_role():
    with pytest.raises(ConfigError, match=r"vision\.model: unknown preset 'siglip_bse'. Did you mean 'siglip_base'\?"):
        resolve_model("siglip_bse", role="vision")
    with pytest.raises(ConfigError, match=r"language\.model: unknown preset 'siglip_base'"):
        resolve_model("siglip_base", role="language")
