"""Arguments that several verbs share."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panollava.config import PanollavaConfig

DEFAULT_CONFIG = "configs/default.yaml"


def add_config_arguments(parser: argparse.ArgumentParser, *, default: str | None = DEFAULT_CONFIG) -> None:
    """Add ``--config FILE``, ``--set KEY=VALUE`` and trailing ``KEY=VALUE`` words.

    Args:
        parser: the verb's parser.
        default: the file when ``--config`` is not given; None: no file.
    """
    shown = f" (default: {default})" if default else ""
    parser.add_argument("--config", metavar="FILE", default=default, help=f"the experiment's YAML file{shown}")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_setting,
        help="change one setting, for example views.hfov_deg=75 (again for more)",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", type=_setting, help="the same as --set KEY=VALUE")


def read_config(args: argparse.Namespace) -> "PanollavaConfig":
    """Return the configuration of the file (without one: the defaults) with the changes of the command line.

    Raises:
        ConfigError: if the file, a key or a value is not right.
    """
    from panollava.config import build_config, load_config

    overrides = overrides_of(args)
    if args.config is None:
        return build_config({}, overrides=overrides, origin="command line")
    return load_config(args.config, overrides=overrides)


def overrides_of(args: argparse.Namespace) -> list[str]:
    """Return the changes of the command line: those of ``--set`` first."""
    return [*args.settings, *args.overrides]


def _setting(text: str) -> str:
    if "=" not in text.lstrip("="):
        raise argparse.ArgumentTypeError(f"'{text}' is no setting; write KEY=VALUE, for example views.hfov_deg=75")
    return text
