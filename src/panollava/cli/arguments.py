"""Arguments that several verbs share."""

import argparse
import json
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


def add_resume_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--resume auto|never``."""
    parser.add_argument(
        "--resume",
        choices=("auto", "never"),
        help="auto: go on where the run of this name stopped, or begin; never: begin again, whatever is there "
        "(default: begin, but refuse to overwrite an interrupted run)",
    )


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the panorama's file is read; each option stands for a key of the section data.images."""
    group = parser.add_argument_group("image", "Each stands for a key of the section data.images of the configuration.")
    group.add_argument("--pad", action="store_true", help="pad a picture that is not 2:1 with black")
    group.add_argument("--assume-full", action="store_true", help="take any shape as the whole sphere")
    group.add_argument("--tone-map", metavar="NAME", help="for HDR, EXR, float TIFF: reinhard, exposure or clip")
    group.add_argument("--pose", metavar="NAME", help="undo a tagged pose: level (default), north or ignore")


def image_settings(args: argparse.Namespace) -> list[str]:
    """Return the options of :func:`add_image_arguments` as settings, so that they are checked like those of a file."""
    given = {"pad": args.pad, "assume_full": args.assume_full, "tone_map": args.tone_map, "pose": args.pose}
    return [f"data.images.{key}={json.dumps(value)}" for key, value in given.items() if value]


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
