"""Merging configurations and applying ``a.b=value`` overrides, on plain dicts and lists."""

from collections.abc import Iterable, Mapping
from typing import Any

from panollava.config.yaml_text import parse_yaml
from panollava.errors import ConfigError, unknown_name


def deep_merge(base: Any, change: Any, *, path: str = "") -> Any:
    """Return base with change laid over it; neither argument is modified.

    Mappings merge key by key; null, which an empty section reads as, leaves a mapping as it was.
    A list or scalar replaces what was there. A mapping over a list of named
    entries (``stages``) changes the entries of those names.

    Raises:
        ConfigError: if a mapping names an entry that the list does not have.

    Example:
        >>> deep_merge({"stages": [{"name": "a", "epochs": 1}]}, {"stages": {"a": {"epochs": 2}}})
        {'stages': [{'name': 'a', 'epochs': 2}]}
    """
    if isinstance(base, dict) and change is None:
        return base
    if isinstance(base, dict) and isinstance(change, Mapping):
        merged = dict(base)
        for key, value in change.items():
            merged[key] = deep_merge(base.get(key), value, path=_join(path, key))
        return merged
    if _is_named_list(base) and isinstance(change, Mapping):
        entries = list(base)
        for name, value in change.items():
            index = _index_of(entries, str(name), path=path)
            entries[index] = deep_merge(entries[index], value, path=_join(path, name))
        return entries
    return change


def apply_override(data: dict[str, Any], override: str) -> dict[str, Any]:
    """Return data with one ``dotted.path=value`` applied; the value is read as YAML.

    A path element is a key, an index of a list (``stages.0``), or the name of a list entry
    (``stages.finetune``), which null removes.

    Raises:
        ConfigError: if the text has no ``=``, no value, or a path that leads nowhere.

    Example:
        >>> apply_override({"a": {"b": 1}}, "a.b=5e-4")
        {'a': {'b': 0.0005}}
        >>> apply_override({"stages": [{"name": "vision"}, {"name": "finetune"}]}, "stages.vision=null")
        {'stages': [{'name': 'finetune'}]}
    """
    dotted, equals, text = override.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"override '{override}': write it as path.to.key=value, for example views.hfov_deg=75.")
    if not text.strip():
        raise ConfigError(f"override '{override}': the value is missing; write {dotted}=null for no value.")
    value = parse_yaml(text, origin=f"override '{override}'")
    replaced = _replace(data, keys, value, done=[])
    assert isinstance(replaced, dict)
    return replaced


def apply_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Apply overrides from left to right; see :func:`apply_override`."""
    for override in overrides:
        data = apply_override(data, override)
    return data


def _replace(node: Any, keys: list[str], value: Any, *, done: list[str]) -> Any:
    """Return node with the value at keys replaced; a missing section on the way is created."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    path = ".".join(done)
    if node is None or isinstance(node, dict):
        section = dict(node or {})
        section[key] = _replace(section.get(key), rest, value, done=[*done, key])
        return section
    if isinstance(node, list):
        index = _index_of(node, key, path=path)
        if not rest and value is None and _is_named_list(node):
            return [item for position, item in enumerate(node) if position != index]
        return [
            _replace(item, rest, value, done=[*done, key]) if position == index else item
            for position, item in enumerate(node)
        ]
    raise ConfigError(f"{path}: is the value {node!r}, not a section; '{'.'.join([*done, *keys])}' leads nowhere.")


def _index_of(entries: list[Any], key: str, *, path: str) -> int:
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    if key in names:
        return next(i for i, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("name") == key)
    if key.isascii() and key.isdigit():
        if int(key) < len(entries):
            return int(key)
        raise ConfigError(f"{path}: there is no entry {key}; the list has {len(entries)} (first: 0).")
    if names and all(names):
        raise ConfigError(f"{path}: {unknown_name('entry', key, [str(name) for name in names])}")
    raise ConfigError(f"{path}: is a list; write an index such as {path}.0, seen '{key}'.")


def _is_named_list(node: Any) -> bool:
    return isinstance(node, list) and bool(node) and all(isinstance(x, dict) and "name" in x for x in node)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
