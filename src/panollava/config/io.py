"""Configurations in and out of files.

A file may name a parent, ``base: default.yaml`` (relative to the file itself); the chain of parents is
merged, then the command line's overrides, and the result is checked once, against the whole schema.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from panollava.config.merge import apply_overrides, deep_merge
from panollava.config.problems import config_error
from panollava.config.schema import PanollavaConfig
from panollava.config.yaml_text import format_yaml, parse_yaml
from panollava.errors import ConfigError


def load_config(path: str | Path, *, overrides: Iterable[str] = ()) -> PanollavaConfig:
    """Read a configuration file, its parents and the overrides.

    Args:
        path: a YAML file.
        overrides: texts such as ``views.hfov_deg=75``, ``stages.0.epochs=2`` or
            ``stages.finetune.lr.adapter=1e-4``, applied from left to right.

    Raises:
        ConfigError: if a file is missing or malformed, or a key or value is not allowed. The message
            names the dotted path, the value seen and what is allowed.
    """
    path = Path(path)
    return build_config(_read_chain(path, children=()), overrides=overrides, origin=str(path))


def build_config(
    data: Mapping[str, Any], *, overrides: Iterable[str] = (), origin: str = "configuration"
) -> PanollavaConfig:
    """Check plain values, laid over the defaults, and return the frozen tree.

    Args:
        data: nested mappings; what is absent keeps its default.
        overrides: see :func:`load_config`.
        origin: what the error message names first.

    Raises:
        ConfigError: if a key or value is not allowed.

    Example:
        >>> build_config({"views": {"hfov_deg": 75}}, overrides=["stages.0.epochs=2"]).views.hfov_deg
        75.0
    """
    try:
        merged = deep_merge(to_dict(PanollavaConfig()), data)
        merged = apply_overrides(merged, overrides)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from error
    try:
        # As JSON, because only there is pydantic's strict mode at ease with lists: "8" is no number.
        text = json.dumps(merged)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{origin}: a value is not plain data ({error}).") from error
    try:
        return PanollavaConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise config_error(error, merged, origin=origin) from error


def to_dict(config: PanollavaConfig) -> dict[str, Any]:
    """Return the configuration as nested dicts, lists and scalars (what meta.json stores)."""
    return config.model_dump(mode="json")


def dump_config(config: PanollavaConfig) -> str:
    """Return the whole configuration, defaults included, as YAML that :func:`load_config` reads back."""
    return format_yaml(to_dict(config))


def config_hash(config: PanollavaConfig) -> str:
    """Return 16 hexadecimal digits (SHA-256) that change when any value of the configuration changes.

    Example:
        >>> len(config_hash(PanollavaConfig()))
        16
    """
    canonical = json.dumps(to_dict(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _read_chain(path: Path, *, children: tuple[Path, ...]) -> dict[str, Any]:
    """Read a file and lay it over its parents."""
    resolved = path.resolve()
    if resolved in children:
        chain = " -> ".join(child.name for child in (*children, resolved))
        raise ConfigError(f"{children[0]}: base: the files inherit in a circle: {chain}.")
    data = _read_file(path, child=children[-1] if children else None)
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: seen {base!r}; expected the path of one YAML file.")
    parent = _read_chain(path.parent / base, children=(*children, resolved))
    try:
        merged = deep_merge(parent, data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    assert isinstance(merged, dict)
    return merged


def _read_file(path: Path, *, child: Path | None) -> dict[str, Any]:
    asked_by = f" (base of {child})" if child else ""
    if not path.is_file():
        near = sorted(other.name for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        hint = f" In {path.parent}: {', '.join(near)}." if near else ""
        raise ConfigError(f"{path}: there is no such file{asked_by}.{hint}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read{asked_by}: {error}.") from error
    data = parse_yaml(text, origin=str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected sections such as 'views:', seen {type(data).__name__}.")
    return data
