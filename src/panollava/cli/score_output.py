"""What ``panollava score`` prints and writes: the table, the scores of single items, files."""

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from panollava.errors import MetricError

if TYPE_CHECKING:
    from rich.console import Console

    from panollava.metrics import Items, MetricReport


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

    console = Console(soft_wrap=True)
    marks = {"ok": "\u2713", "missing": "\u2717", "up": "\u2191", "down": "\u2193"}
    if not (console.encoding or "").lower().startswith("utf"):
        marks = {"ok": "ok", "missing": "--", "up": "^", "down": "v"}
    return console, marks
