"""``panollava score``: score a file of predictions."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panollava.metrics import MetricReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("predictions", type=Path, help="CSV: image_path,original_query,prediction,reference")
    parser.add_argument(
        "--metrics",
        metavar="NAMES",
        help="comma-separated; a metric named here must run. Default: bleu4,meteor,rougeL,spice,cider, where"
        " one that cannot run is reported as missing. Also: cider_d, cider_plain, coco_bleu1 to coco_bleu4,"
        " coco_rougeL, exact_match",
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
        " Default: each metric's official one",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write scores and signatures as JSON")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write scores and signatures as CSV")


def run(args: argparse.Namespace) -> int:
    """Score the file, print the table, write what was asked for; return the exit status."""
    from panollava.errors import MetricUnavailable
    from panollava.metrics import DEFAULT_METRICS, read_predictions, score_items

    names = [name.strip() for name in args.metrics.split(",")] if args.metrics else list(DEFAULT_METRICS)
    items = read_predictions(args.predictions).items(protocol=args.protocol)
    report = score_items(items, metrics=names, tokenizer=args.tokenizer)
    show(report)
    if args.json:
        write_text(args.json, report.to_json())
    if args.csv:
        write_text(args.csv, csv_text(report))
    if args.metrics:
        for result in report.results:
            if result.value is None:
                raise MetricUnavailable(f"{result.label} was asked for and cannot run: {result.reason}")
    return 0


def show(report: "MetricReport") -> None:
    """Print the report as a table, with remarks and signatures below it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(soft_wrap=True)
    marks = {"ok": "\u2713", "missing": "\u2717", "up": "\u2191", "down": "\u2193"}
    if not (console.encoding or "").lower().startswith("utf"):
        marks = {"ok": "ok", "missing": "--", "up": "^", "down": "v"}
    questions = f"{report.items} items from {report.rows} rows, protocol {report.protocol}"
    console.print(f"{questions}, {report.empty_predictions} empty predictions", highlight=False)
    table = Table("", "metric", "", "value", "implementation", box=None, pad_edge=False)
    table.columns[3].justify = "right"
    for row in report.table_rows():
        colour = "green" if row["mark"] == "ok" else "yellow"
        mark = f"[{colour}]{marks[row['mark']]}[/]"
        table.add_row(mark, row["metric"], marks[row["arrow"]], row["value"], row["implementation"])
    console.print(table)
    for result in report.results:
        if result.reason or result.note:
            console.print(f"{result.label}: {escape(result.reason or result.note)}", highlight=False)
        if result.signature:
            console.print(f"[dim]{result.label}: {escape(result.signature)}[/]", highlight=False)


def csv_text(report: "MetricReport") -> str:
    """Return the report as CSV, one row a metric."""
    import csv
    import io

    rows = report.csv_rows()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a result file, making its folder; an unwritable path is a MetricError."""
    from panollava.errors import MetricError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise MetricError(f"cannot write {path}: {error.strerror}. Give a path that can be written.") from error
