"""``panollava train``: the stages alone, without evaluation."""

import argparse

from panollava.cli import processes
from panollava.cli.arguments import add_config_arguments, add_resume_argument, read_config
from panollava.errors import ConfigError, unknown_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config_arguments(parser)
    parser.add_argument(
        "--stage",
        dest="stages",
        metavar="NAME",
        action="append",
        default=[],
        help="train only this stage of the table (again for more; also NAME,NAME)",
    )
    add_resume_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train and print the path of the last checkpoint."""
    config = read_config(args)
    stages = pick_stages(args.stages, available=[stage.name for stage in config.stages])
    status = processes.started(config)
    if status is not None:
        return status
    from panollava.workflow import ThreeStageTrainer

    last = ThreeStageTrainer(config).run(stages=stages, resume=args.resume)
    if processes.is_first():
        print(last)
    return 0


def pick_stages(asked: list[str], *, available: list[str]) -> list[str] | None:
    """Return the asked stages in the order of the table; None (all of them) if none was asked.

    Raises:
        ConfigError: if the table has no stage of that name.

    Example:
        >>> pick_stages(["finetune,vision"], available=["vision", "resampler", "finetune"])
        ['vision', 'finetune']
    """
    names = [name.strip() for word in asked for name in word.split(",") if name.strip()]
    for name in names:
        if name not in available:
            raise ConfigError(f"--stage: {unknown_name('stage', name, available)}")
    return [name for name in available if name in names] or None
