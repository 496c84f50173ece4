"""``panollava run``: the whole experiment."""

import argparse

from panollava.cli import processes
from panollava.cli.arguments import add_config_arguments, add_resume_argument, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_arguments(parser)
    add_resume_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train the stages, evaluate on held-out panoramas, write ``<paths.runs>/<experiment.name>/``."""
    config = read_config(args)
    status = processes.started(config)
    if status is not None:
        return status
    from panollava.workflow.runner import run_experiment

    run_experiment(config, resume=args.resume)
    return 0
