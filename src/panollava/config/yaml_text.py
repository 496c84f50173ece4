"""YAML with the surprises of PyYAML removed.

``5e-4`` is a number (PyYAML reads a string), a key written twice is an error (PyYAML keeps the last), a date stays the
text that was typed, and only plain data are read: no bytes, sets or Python objects. A text that is very long, very
deep, or grows by its aliases is an error before it costs time.
"""

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from panollava.errors import ConfigError

_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*\.(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_MOST_CHARACTERS, _MOST_VALUES = 1_000_000, 100_000
_NOT_PLAIN = ("binary", "set", "omap", "pairs")
_REPLACED_TAGS = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")


class _Loader(yaml.SafeLoader):
    """SafeLoader with our floats, without dates, and strict about keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (the shape that PyYAML prescribes)
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _REPLACED_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping; a key that is no text, or that was seen before, is an error."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key_node.value!r} is not text; put it in quotes",
                    key_node.start_mark,
                )
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key_node.value}' is written twice; keep one", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def _refuse(_: _Loader, node: yaml.Node) -> Any:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    raise yaml.constructor.ConstructorError(
        None, None, f"!!{kind} is no plain data; write text, numbers, lists and mappings", node.start_mark
    )


for _name in _NOT_PLAIN:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _refuse)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parse_yaml(text: str, *, origin: str) -> Any:
    """Parse YAML text into plain Python values.

    Args:
        text: the YAML document.
        origin: what the error message names, usually the file.

    Raises:
        ConfigError: if the text is not one YAML document, a key repeats, a value is no plain data, or the text is
            too large when its aliases are written out; with line and column.

    Example:
        >>> parse_yaml("lr: 5e-4", origin="example")
        {'lr': 0.0005}
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigError(f"{origin}: {len(text):,} characters; a configuration has at most {_MOST_CHARACTERS:,}.")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > _MOST_VALUES:
            raise ConfigError(f"{origin}: its aliases make more than {_MOST_VALUES:,} values; write less of them.")
        return loader.construct_document(node)
    except RecursionError as error:
        raise ConfigError(f"{origin}: nested too deeply; a configuration has a few levels.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"{origin}{where}: {error.problem or 'not valid YAML'}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {error}.") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        # what PyYAML's own conversions raise: `!!int x`, `!!bool maybe`, a number of five thousand digits
        raise ConfigError(f"{origin}: a value does not fit its tag, or is out of range ({error!r:.200}).") from error


def format_yaml(data: Mapping[str, Any]) -> str:
    """Write a mapping as YAML in its own order, lists of scalars on one line.

    Example:
        >>> print(format_yaml({"b": [1, 2], "a": None}), end="")
        b: [1, 2]
        a: null
    """
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text


class _Dumper(yaml.SafeDumper):
    """SafeDumper that keeps short lists on one line and quotes what our loader would read as a number."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML's signature)
        """Never write anchors: every value stands where it is used."""
        return True


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    flat = not any(isinstance(item, (dict, list)) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(float, _represent_float)


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node is when its aliases are written out; infinite if it holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        count = sum(_values(part, known) for part in parts) if isinstance(node, yaml.CollectionNode) else 0
        known[id(node)] = 1 + count
    return known[id(node)]
