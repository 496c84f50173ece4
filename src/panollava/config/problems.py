"""From pydantic's validation errors to messages that a person can act on."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from panollava.config.schema import PanollavaConfig, section_of
from panollava.errors import ConfigError, unknown_name

Location = tuple[int | str, ...]


def config_error(
    error: ValidationError, data: Any, *, origin: str, schema: type[BaseModel] = PanollavaConfig
) -> ConfigError:
    """Return the ConfigError for what pydantic found in data.

    Each line names the key's dotted path, the value seen and what is allowed.

    Args:
        error: what pydantic raised.
        data: the plain values that were checked.
        origin: the file (or other source) of data, first in the message.
        schema: what the data was checked against.
    """
    found: dict[Location, list[ErrorDetails]] = {}
    for detail in error.errors():
        found.setdefault(_real_location(detail["loc"], data, schema), []).append(detail)
    problems = []
    for location, details in found.items():
        follows = any(other != location and other[: len(location)] == location for other in found)
        if follows and details[0]["type"] in ("too_short", "literal_error"):
            continue  # only the echo of a bad entry deeper down, which is reported itself
        text = _describe(details[0], location, data, schema) if len(details) == 1 else _describe_union(details)
        path = ".".join(str(part) for part in location)
        problems.append(f"{path}: {text}" if path else text)
    if len(problems) == 1:
        return ConfigError(f"{origin}: {problems[0]}")
    body = "\n".join(f"  {problem}" for problem in problems)
    return ConfigError(f"{origin}: {len(problems)} problems\n{body}")


def _real_location(loc: Location, data: Any, schema: type[BaseModel]) -> Location:
    """Drop the parts of pydantic's location that are union branches, not keys of the data."""
    real: list[int | str] = []
    node = data
    for position, part in enumerate(loc):
        if part == "[key]":
            continue
        if isinstance(node, Mapping):
            if part in node:
                node = node[part]
            elif position == len(loc) - 1 and part in _known_keys(schema, tuple(real)):
                node = None  # a missing key
            else:
                continue
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            continue
        real.append(part)
    return tuple(real)


def _describe(detail: ErrorDetails, location: Location, data: Any, schema: type[BaseModel]) -> str:
    """Say what is wrong with the value at location."""
    kind, value = detail["type"], _value_at(location, data)
    match kind:
        case "extra_forbidden":
            return unknown_name("key", str(location[-1]), _known_keys(schema, location[:-1]))
        case "missing" if isinstance(detail["loc"][-1], int):
            return f"seen {value!r}; the list is too short."
        case "missing":
            return "this key is required."
        case "value_error":
            return f"{detail['ctx']['error']}."
        case "too_short":
            return f"seen {value!r}; allowed: at least {detail['ctx']['min_length']} entry."
        case "string_pattern_mismatch":
            return f"seen {value!r}; allowed: letters, digits, '.', '-', '_', the first a letter or digit."
        case "model_type":
            return f"seen {value!r}; expected a section with the keys {', '.join(_known_keys(schema, location))}."
        case "literal_error" if detail["loc"][-1] == "[key]":
            return unknown_name("key", str(detail["loc"][-2]), _choices(detail))
        case "literal_error" if isinstance(value, str):
            return unknown_name("value", value, _choices(detail))
        case _:
            return f"seen {value!r}; allowed: {_allowed(detail)}."


def _describe_union(details: list[ErrorDetails]) -> str:
    """Say what is wrong with a value that may have one of several forms and has none."""
    return f"seen {details[0]['input']!r}; allowed: {', or '.join(_allowed(detail) for detail in details)}."


def _allowed(detail: ErrorDetails) -> str:
    """Return what one form of the value allows, as the rest of a sentence."""
    if detail["type"] == "literal_error":
        return ", ".join(_choices(detail))
    text = detail["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    return text.replace("valid dictionary", "mapping").replace("valid array", "list").replace("valid tuple", "list")


def _choices(detail: ErrorDetails) -> list[str]:
    expected: str = detail["ctx"]["expected"]
    return [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]


def _value_at(location: Location, data: Any) -> Any:
    node = data
    for part in location:
        node = node.get(part) if isinstance(node, Mapping) else node[part]
    return node


def _known_keys(schema: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that the schema allows in the section at location."""
    section = schema
    for part in location:
        if isinstance(part, int):
            continue
        if part not in section.model_fields:
            return []
        found, _ = section_of(section.model_fields[part].annotation)
        if found is None:
            return []
        section = found
    return list(section.model_fields)
