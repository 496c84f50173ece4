"""YAML without PyYAML's surprises."""

import pytest

from panollava.config.yaml_text import format_yaml, parse_yaml
from panollava.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 0.0005),
        ("1E3", 1000.0),
        ("-2e+1", -20.0),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("1.", 1.0),
        ("0.0", 0.0),
        ("12", 12),
        ("-7", -7),
        ("none", "none"),
        ("null", None),
        ("true", True),
        ("e5", "e5"),
        ("1e", "1e"),
        ("5e-4x", "5e-4x"),
        ("2024-01-01", "2024-01-01"),
        ("'5e-4'", "5e-4"),
    ],
)
def test_scalars(text, value):
    parsed = parse_yaml(f"a: {text}", origin="t")["a"]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("value", [5e-4, 1e-05, 1.0, 1e22, 3, "5e-4", "2024-01-01", "on", "", "a: b", None, [1, 2.5]])
def test_what_is_written_is_read_back(value):
    assert parse_yaml(format_yaml({"a": value}), origin="t") == {"a": value}


def test_a_key_written_twice_names_the_line():
    with pytest.raises(ConfigError, match=r"f\.yaml, line 3, column 1: the key 'a' is written twice"):
        parse_yaml("a: 1\nb: 2\na: 3\n", origin="f.yaml")


def test_a_key_written_twice_deep_inside():
    with pytest.raises(ConfigError, match="line 3, column 6: the key 'x' is written twice"):
        parse_yaml("top:\n  - {x: 1,\n     x: 2}\n", origin="f")


def test_a_key_that_is_no_text():
    with pytest.raises(ConfigError, match="the key 'on' is not text; put it in quotes"):
        parse_yaml("on: 1", origin="f.yaml")


def test_broken_yaml_names_file_line_and_column():
    with pytest.raises(ConfigError, match=r"^f\.yaml, line 2, column \d+: "):
        parse_yaml("a: [1,\nb: {", origin="f.yaml")


def test_merge_keys_still_work():
    text = "one: &one {a: 1}\ntwo:\n  <<: *one\n  b: 2\n"
    assert parse_yaml(text, origin="f")["two"] == {"a": 1, "b": 2}


def test_python_tags_are_refused():
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        parse_yaml("a: !!python/object/apply:os.getcwd []", origin="f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!binary aGk=", r"line 1, column 4: !!binary is no plain data"),
        ("a: !!set {x, y}", "!!set is no plain data"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a: &a [*a]", "its aliases make more than"),
        ("x" * 1_000_001, "1,000,001 characters"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ), "more than 100,000 values"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_told_before_it_costs_time(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, origin="config.yaml")


@pytest.mark.parametrize(
    "value",
    ["!!int x", "!!int ''", "!!int []", "!!bool maybe", "!!float abc", "!!float ''", "!!timestamp x", "!!map [1]",
     "!!timestamp 2020-99-99", '"\\UFFFFFFFF"', "9" * 5000],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_tag_is_told_with_the_file(value):
    with pytest.raises(ConfigError, match=r"^config\.yaml"):
        parse_yaml(f"a: {value}\n", origin="config.yaml")
