"""``panollava score``: score a file of predictions, or compare two."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panollava.metrics import Metric, Resampling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "predictions", type=Path, nargs="+", help="CSV: image_path,original_query,prediction,reference; two to compare"
    )
    parser.add_argument(
        "--compare", action="store_true", help="test whether the second file's scores differ from the first's"
    )
    parser.add_argument(
        "--metrics",
        metavar="NAMES",
        help="comma-separated; a metric named here must run. Default: bleu4,meteor,rougeL,spice,cider, where"
        " one that cannot run is reported as missing. docs/evaluation-metrics.md lists all",
    )
    parser.add_argument(
        "--custom",
        metavar="NAME=FILE.py:FUNCTION",
        action="append",
        default=[],
        help="a metric of your own: function(predictions, references) -> one float, or one per item",
    )
    parser.add_argument(
        "--model",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="weights that a metric needs, folder or hub id: clip, dino, sbert, bert; and bert_layer=N",
    )
    parser.add_argument(
        "--protocol",
        choices=["grouped", "rows"],
        help="grouped: rows with the same image and query are one item with several references (default where"
        " the file names both); rows: every row by itself, with one reference",
    )
    parser.add_argument(
        "--tokenizer",
        help="one tokenizer for all metrics, for other languages: intl, char, zh, ko-mecab, ja-mecab."
        " ptb: COCO's official Java program in place of our Penn Treebank tokens. Default: each metric's own",
    )
    parser.add_argument("--resamples", type=int, metavar="N", help="1000, or 10000 to compare; 0: no intervals")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals (0.95)")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples (0)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write scores and signatures as JSON")
    parser.add_argument(
        "--csv", type=Path, metavar="OUT", help="write the scores of single items, or the comparison, as CSV"
    )


def run(args: argparse.Namespace) -> int:
    """Score or compare, print the table, write what was asked for; return the exit status."""
    from panollava.errors import MetricError
    from panollava.metrics import Resampling

    wanted = 2 if args.compare else 1
    if len(args.predictions) != wanted:
        more = "" if args.compare or len(args.predictions) != 2 else " To compare the two, add --compare."
        raise MetricError(f"{len(args.predictions)} files, but {wanted} can be scored.{more}")
    resamples = (10_000 if args.compare else 1000) if args.resamples is None else args.resamples
    if args.compare:
        return _compare(args, Resampling(resamples, args.seed, args.confidence))
    return _score(args, Resampling(resamples, args.seed, args.confidence) if resamples else None)


def _score(args: argparse.Namespace, resampling: "Resampling | None") -> int:
    from panollava.cli.score_output import per_item_csv, show, write_text
    from panollava.errors import MetricUnavailable
    from panollava.metrics import read_predictions, score_items, with_intervals

    names, custom, prepared = _metrics(args)
    items = read_predictions(args.predictions[0]).items(protocol=args.protocol)
    report = score_items(items, metrics=names, tokenizer=args.tokenizer, custom=custom, prepared=prepared)
    if resampling is not None:
        report = with_intervals(report, items=items, resampling=resampling)
    show(report)
    if args.json:
        write_text(args.json, report.to_json())
    if args.csv:
        write_text(args.csv, per_item_csv(report, items=items))
    for result in report.results:
        if result.value is None and args.metrics:
            raise MetricUnavailable(f"{result.label} was asked for and cannot run: {result.reason}")
    return 0


def _compare(args: argparse.Namespace, resampling: "Resampling") -> int:
    from panollava.cli.score_output import comparison_csv, show_comparison, write_text
    from panollava.errors import MetricUnavailable
    from panollava.metrics import compare_items, read_predictions

    names, custom, prepared = _metrics(args)
    first, second = (read_predictions(path).items(protocol=args.protocol) for path in args.predictions)
    comparison = compare_items(
        first,
        second,
        metrics=names,
        tokenizer=args.tokenizer,
        custom=custom,
        prepared=prepared,
        resampling=resampling,
    )
    show_comparison(comparison, names=(str(args.predictions[0]), str(args.predictions[1])))
    if args.json:
        write_text(args.json, json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False) + "\n")
    if args.csv:
        write_text(args.csv, comparison_csv(comparison))
    for each in comparison.differences:
        for result in (each.first, each.second):
            if result.value is None and args.metrics:
                raise MetricUnavailable(f"{result.label} was asked for and cannot run: {result.reason}")
    return 0


def _metrics(args: argparse.Namespace) -> "tuple[list[str], dict[str, Metric], dict[str, Metric]]":
    """Return the names of the metrics, those of the user last; the user's metrics, and those with a model, by name."""
    from panollava.metrics import DEFAULT_METRICS, load_custom

    custom, prepared = load_custom(args.custom), _prepared(args)
    default = [*DEFAULT_METRICS, *prepared]
    names = [name.strip() for name in args.metrics.split(",")] if args.metrics else default
    return [*names, *(name for name in custom if name not in names)], custom, prepared


def _prepared(args: argparse.Namespace) -> "dict[str, Metric]":
    """Return the metrics that the given models make possible; their pictures lie below the first file's folder."""
    if not args.model:  # and nothing of torch is imported
        return {}
    from transformers.utils import logging

    from panollava.evaluation.model_scores import model_metrics, parse_models

    logging.disable_progress_bar()
    return model_metrics(parse_models(args.model), folder=args.predictions[0].parent)
