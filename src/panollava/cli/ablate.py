"""``panollava ablate``: a study over any settings."""

import argparse
import json
from pathlib import Path

DEFAULT_STUDY = Path("configs/lora_ablation.yaml")
_LEAST_COLUMNS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=DEFAULT_STUDY,
        help=f"the study's YAML file: models and lora_configs, or grid, arms, seeds (default: {DEFAULT_STUDY})",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the runs and what they cost, train nothing")
    parser.add_argument("--json", action="store_true", help="with --dry-run: print the plan as JSON")
    parser.add_argument(
        "--flops", type=float, metavar="RATE", help="with --dry-run: operations a second, to estimate times from"
    )
    parser.add_argument("--executor", choices=("local", "slurm", "ray"), default="local", help="where runs are run")
    parser.add_argument(
        "--jobs", type=_positive, metavar="N", help="runs at a time (default: local 1; ray and slurm: what there is)"
    )
    parser.add_argument("--fresh", action="store_true", help="remove what was run before, and start over")
    parser.add_argument("--report", action="store_true", help="write the outcome of what is done, run nothing")
    parser.add_argument(
        "--table", type=Path, metavar="STUDY", help="print the outcome of a study, its folder or its file; run nothing"
    )
    parser.add_argument("--markdown", action="store_true", help="print the outcome as Markdown")
    parser.add_argument("--submit", choices=("yes", "no"), default="yes", help="slurm: no writes the job alone")
    parser.add_argument("--task", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run every arm with every seed, or list them; 1 if a run is not complete."""
    if args.train is not None:
        from panollava.training.spread import end_with_agent
        from panollava.workflow.devices import train_ordered

        end_with_agent()
        train_ordered(args.train)
        return 0
    if args.task is not None:
        return _task(args.task, inside=args.inside)
    if args.table is not None:
        _print_outcome(args.table, as_markdown=args.markdown)
        return 0
    if args.dry_run:
        _preview(args)
        return 0
    from panollava.ablation.run import Options, conclude, run_study
    from panollava.ablation.study import load_study

    if args.report:
        unfinished = conclude(load_study(args.config))
    else:
        options = Options(executor=args.executor, jobs=args.jobs, submit=args.submit == "yes", fresh=args.fresh)
        unfinished = run_study(args.config, options=options)
        if args.executor == "slurm":
            return 0
    _print_outcome(args.config, as_markdown=args.markdown)
    return int(unfinished > 0)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of runs; write 1 or more")
    return int(text)


def _task(file: Path, *, inside: bool) -> int:
    """Run one task of a study: here, or (``inside``) in a process that watches over it."""
    from panollava.ablation.task import Task, launch, watch_launcher

    if not inside:
        return int(not launch(file))
    from panollava.training.interrupt import stopping

    with stopping():
        watch_launcher()
        from panollava.workflow.arm import run_task

        run_task(Task.read(file))
    return 0


def _preview(args: argparse.Namespace) -> None:
    """Print the plan."""
    from panollava.ablation.preview import preview, preview_table
    from panollava.ablation.study import load_study

    tree = preview(load_study(args.config), rate=args.flops)
    if args.json:
        print(json.dumps(tree, indent=1))
        return
    from rich.console import Console

    Console(width=max(_LEAST_COLUMNS, Console().width)).print(preview_table(tree))


def _print_outcome(place: Path, *, as_markdown: bool) -> None:
    """Print the tables of a study: its folder, or its file."""
    from panollava.ablation.report import read_outcome
    from panollava.ablation.study import load_study
    from panollava.ablation.table import markdown, metrics_table, study_table

    folder = place if place.is_dir() else load_study(place).folder
    outcome = read_outcome(folder)
    if as_markdown:
        print(markdown(outcome))
        return
    from rich.console import Console

    console = Console(width=max(_LEAST_COLUMNS, Console().width))
    for table in (study_table(outcome), metrics_table(outcome)):
        if table is not None:
            console.print(table)
    console.print(f"report  {folder / 'ablation.html'}", highlight=False, soft_wrap=True)
