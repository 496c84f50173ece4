"""``panollava config show``: the whole configuration, or what each key means."""

import argparse

from panollava.cli.arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_arguments(parser)
    parser.add_argument("--fields", action="store_true", help="list every key with its default and meaning")


def run(args: argparse.Namespace) -> int:
    """Print YAML that can be used as a file, or the table of keys."""
    if args.fields:
        _print_fields()
        return 0
    config = read_config(args)
    from panollava.config import dump_config

    print(dump_config(config), end="")
    return 0


def _print_fields() -> None:
    import json

    from panollava.config.schema import walk_fields

    for field in walk_fields():
        default = "required" if field.required else json.dumps(field.default)
        print(f"{field.path} = {default}\n    {field.description}")
