"""What ``panollava score`` prints and writes: the table, the scores of single items, files."""

import csv
import io
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from panollava.errors import MetricError
from panollava.metrics.result import interval_text

if TYPE_CHECKING:
    from rich.console import Console

    from panollava.metrics import Comparison, Items, MetricReport

WIDTH = 160
"""Of the table where nobody looks at it: in a pipe or a file."""


def show(report: "MetricReport") -> None:
    """Print the report as a table, with remarks and signatures below it."""
    from rich.markup import escape
    from rich.table import Table

    console, marks = _console()
    questions = f"{report.items} items from {report.rows} rows, protocol {report.protocol}"
    console.print(f"{questions}, {report.empty_predictions} empty predictions", highlight=False)
    if report.repeated_rows:
        console.print(f"{report.repeated_rows} rows repeat an earlier one; each is counted", highlight=False)
    headings = ("", "metric", "", "value", "interval", "implementation")
    rows = report.table_rows()
    shown = [name for name in headings if name != "interval" or any(row["interval"] for row in rows)]
    table = Table(*shown, box=None, pad_edge=False)
    table.columns[3].justify = "right"
    table.columns[4].no_wrap = table.columns[4].header == "interval"
    for row in rows:
        colour = "green" if row["mark"] == "ok" else "yellow"
        interval = [escape(row["interval"])] if "interval" in shown else []
        cells = [f"[{colour}]{marks[row['mark']]}[/]", escape(row["metric"]), marks[row["arrow"]], row["value"]]
        table.add_row(*cells, *interval, escape(row["implementation"]))
    console.print(table)
    if report.interval_note:
        console.print(escape(report.interval_note), highlight=False)
    for result in report.results:
        if result.reason or result.note:
            console.print(f"{escape(result.label)}: {escape(result.reason or result.note)}", highlight=False)
        if result.signature:
            console.print(f"[dim]{escape(result.label)}: {escape(result.signature)}[/]", highlight=False)


def show_comparison(comparison: "Comparison", *, names: tuple[str, str]) -> None:
    """Print the differences as a table, with what was tested below it."""
    from rich.markup import escape
    from rich.table import Table

    console, marks = _console()
    console.print(
        f"{comparison.items} items of {comparison.clusters} images, protocol {comparison.protocol};"
        f" difference = {names[1]} - {names[0]}",
        highlight=False,
        markup=False,
    )
    table = Table(
        "", "metric", "", "first", "second", "difference", "interval", "p", "p (Holm)", box=None, pad_edge=False
    )
    for column in (3, 4, 5, 7, 8):
        table.columns[column].justify = "right"
    table.columns[6].no_wrap = True
    for each in comparison.differences:
        arrow = marks["up" if each.first.higher_is_better else "down"]
        numbers = [_number(each.first.value), _number(each.second.value), _number(each.difference, signed=True)]
        mark = f"[yellow]{marks['missing']}[/]" if each.difference is None else f"[green]{marks['ok']}[/]"
        ends = each.interval and f"[{each.interval.low:+.4f}, {each.interval.high:+.4f}]"
        rest = [escape(ends or ""), _p(each.p_randomisation), _p(each.p_holm)]
        table.add_row(mark, escape(each.first.label), arrow, *numbers, *rest)
    console.print(table)
    chosen = comparison.resampling
    console.print(
        f"[low, high]: {chosen.confidence:.0%} BCa paired bootstrap over images; p: approximate randomisation, whole"
        f" images swapped; {chosen.resamples} resamples, seed {chosen.seed}; Holm over the metrics compared",
        highlight=False,
        markup=False,
    )
    for each in comparison.differences:
        if each.reason:
            console.print(f"{each.first.label}: not compared: {each.reason}", highlight=False, markup=False)
        elif each.first.signature:
            console.print(f"[dim]{escape(each.first.label)}: {escape(each.first.signature)}[/]", highlight=False)


def _number(value: float | None, *, signed: bool = False) -> str:
    return "missing" if value is None else f"{value:+.4f}" if signed else f"{value:.4f}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def comparison_csv(comparison: "Comparison") -> str:
    """Return the comparison as CSV, one row a metric."""
    text = io.StringIO(newline="")
    rows = [{"metric": each.first.name, **each.to_dict()} for each in comparison.differences]
    for row, each in zip(rows, comparison.differences, strict=True):
        row["interval"] = interval_text(each.interval)
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def per_item_csv(report: "MetricReport", *, items: "Items") -> str:
    """Return the scores of single items as CSV: one row an item, one column a metric that scores items.

    A blank cell is an item that the metric does not concern.
    """
    scored = [result for result in report.results if result.per_item]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = [result.name for result in scored]
    writer.writerow(["rows", "image_path", "original_query", "prediction", "references", *names])
    for place, prediction in enumerate(items.predictions):
        numbers = items.row_numbers[place] if items.row_numbers else (place + 1,)
        scores = [result.per_item[place] for result in scored]
        writer.writerow(
            [
                " ".join(map(str, numbers)),
                items.images[place] if items.images else "",
                items.queries[place] if items.queries else "",
                prediction,
                len(items.references[place]),
                *("" if math.isnan(score) else repr(score) for score in scores),
            ]
        )
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a result file, making its folder; an unwritable path is a MetricError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise MetricError(f"cannot write {path}: {error.strerror}. Give a path that can be written.") from error


def _console() -> "tuple[Console, dict[str, str]]":
    """Return the terminal, and the marks that it can print."""
    from rich.console import Console

    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
    marks = {"ok": "\u2713", "missing": "\u2717", "up": "\u2191", "down": "\u2193"}
    if not (console.encoding or "").lower().startswith("utf"):
        marks = {"ok": "ok", "missing": "--", "up": "^", "down": "v"}
    return console, marks
