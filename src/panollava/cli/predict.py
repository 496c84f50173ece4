"""``panollava predict``: questions about many panoramas."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from panollava.cli.arguments import add_image_arguments, image_settings
from panollava.errors import ConfigError

if TYPE_CHECKING:
    from panollava.evaluation.shard_files import Meta
    from panollava.evaluation.shards import Shard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--checkpoint", metavar="DIR", help="a checkpoint, or a folder that holds one")
    parser.add_argument(
        "--input",
        metavar="PATH",
        help="a panorama, a folder of them, or a CSV, JSON or JSONL file of images (and questions)",
    )
    parser.add_argument("--image-root", metavar="DIR", help="folder of the file's relative image paths")
    parser.add_argument(
        "--question",
        dest="questions",
        action="append",
        default=[],
        metavar="TEXT",
        help="what to ask about every panorama (again for more; default: what the file asks)",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the .jsonl file to write")
    parser.add_argument("--on-bad-image", choices=("raise", "skip"), default="raise", help="default: raise")
    parser.add_argument("--logprob", action="store_true", help="add each answer's mean log-likelihood per token")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change a setting, for example generation.max_new_tokens=32 (again for more)",
    )
    parts = parser.add_argument_group("many processes")
    parts.add_argument(
        "--shard",
        metavar="N/M",
        help="answer one part of M; auto: that of this SLURM or torchrun task; auto/M: of M tasks of a SLURM array",
    )
    parts.add_argument("--executor", choices=("local", "ray"), default="local", help="default: local, this process")
    parts.add_argument("--workers", type=int, default=2, metavar="N", help="tasks of --executor ray (default: 2)")
    parts.add_argument("--merge", nargs="+", type=Path, metavar="FILE", help="put the outputs of all shards together")
    add_image_arguments(parser)
    parser.epilog = "The same command again goes on where an earlier one was stopped."


def run(args: argparse.Namespace) -> int:
    """Predict or merge, and print what was written."""
    from panollava.evaluation.shard_files import merge, skipped_path
    from panollava.evaluation.shards import Shard

    if args.output.suffix != ".jsonl":
        raise ConfigError(f"--output {args.output}: the output is JSON lines; name it .jsonl")
    if args.merge:
        meta, output = merge(args.merge, output=args.output), args.output
    else:
        shard = Shard.parse(args.shard) if args.shard else Shard()
        meta, output = _predict(args, shard), shard.output(args.output)
    print(f"{output}: {meta.rows} answers")
    if meta.skipped:
        print(f"{skipped_path(output)}: {meta.skipped} panoramas that could not be read")
    return 0


def _predict(args: argparse.Namespace, shard: "Shard") -> "Meta":
    if args.checkpoint is None or args.input is None:
        raise ConfigError("give --checkpoint and --input, or --merge FILES")
    if args.executor == "ray" and args.shard:
        raise ConfigError("--executor ray makes the shards itself; leave --shard out")
    from panollava.workflow.prediction import PredictionJob, predict
    from panollava.workflow.quiet import quiet_libraries

    quiet_libraries()
    job = PredictionJob(
        checkpoint=args.checkpoint,
        source=args.input,
        output=str(args.output),
        questions=tuple(args.questions),
        image_root=args.image_root,
        settings=(*image_settings(args), *args.settings),
        on_bad_image=args.on_bad_image,
        logprob=args.logprob,
    )
    if args.executor == "ray":
        from panollava.workflow.prediction_ray import predict_on_ray

        return predict_on_ray(job, workers=args.workers)
    return predict(job, shard=shard)
