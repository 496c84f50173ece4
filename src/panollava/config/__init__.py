"""One YAML file, one frozen tree of settings, checked once."""

from panollava.config.io import build_config, config_hash, dump_config, load_config, to_dict
from panollava.config.presets import EMBEDDED, ModelPreset, list_presets, resolve_model
from panollava.config.schema import PanollavaConfig

__all__ = [
    "EMBEDDED",
    "ModelPreset",
    "PanollavaConfig",
    "build_config",
    "config_hash",
    "dump_config",
    "list_presets",
    "load_config",
    "resolve_model",
    "to_dict",
]
