"""``panollava config check``: is this file right?"""

import argparse

from panollava.cli.arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Say that the file is right, and what it describes; a wrong file raises ConfigError."""
    config = read_config(args)
    from panollava.config import config_hash, resolve_model

    vision = resolve_model(config.vision.model, role="vision")
    language = resolve_model(config.language.model, role="language")
    print(f"{args.config}: ok, hash {config_hash(config)}")
    print(f"  models  {vision} + {config.resampler.kind} + {language}")
    for stage in config.stages:
        length = f"{stage.epochs} epochs" if stage.epochs else f"{stage.max_steps} steps"
        print(f"  stage   {stage.name}: {stage.objective}, trains {', '.join(stage.trains)}, {length}")
    return 0
