"""Read a predictions file: ``image_path,original_query,prediction,reference``; the last two are required."""

import csv
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import DataError, MetricError, unknown_name
from panollava.metrics.items import PROTOCOLS, Items, check_items, check_reference, check_text, group_rows

REQUIRED = ("prediction", "reference")
KEY = ("image_path", "original_query")


@dataclass(frozen=True, slots=True)
class Predictions:
    """The columns of a predictions file.

    Attributes:
        path: the file, for messages.
        rows: the number of each row, as a spreadsheet counts (the header is row 1).
        predictions: one per row.
        references: one per row.
        keys: (image, query) of each row, or None when the file has not both columns.
    """

    path: Path
    rows: tuple[int, ...]
    predictions: tuple[str, ...]
    references: tuple[str, ...]
    keys: tuple[tuple[str, str], ...] | None

    def items(self, *, protocol: str | None = None) -> Items:
        """Return what to score.

        Args:
            protocol: "grouped" or "rows"; when absent, grouped if the file names image and query, else rows.

        Raises:
            MetricError: The protocol is unknown or needs columns that the file has not; an unusable cell,
                named by its row as a spreadsheet counts (the header is row 1).
        """
        chosen = protocol or ("grouped" if self.keys is not None else "rows")
        if chosen not in PROTOCOLS:
            raise MetricError(unknown_name("protocol", chosen, PROTOCOLS))
        try:
            return self._items(chosen)
        except MetricError as error:
            raise MetricError(f"{self.path}: {error}") from error

    def _items(self, protocol: str) -> Items:
        for row, prediction, reference in zip(self.rows, self.predictions, self.references, strict=True):
            check_text(prediction, what="prediction", row=row)
            check_reference(reference, row=row)
        if protocol == "rows":
            return check_items(self.predictions, self.references, protocol="rows")
        if self.keys is None:
            raise MetricError(
                f"the protocol 'grouped' needs the columns {' and '.join(KEY)}. Add them, or use the protocol 'rows'."
            )
        images, queries = zip(*self.keys, strict=True) if self.keys else ((), ())
        return group_rows(self.predictions, self.references, images=images, queries=queries, row_numbers=self.rows)


def read_predictions(path: Path) -> Predictions:
    """Read a predictions CSV (UTF-8, header in the first row, further columns ignored).

    Raises:
        DataError: The file is absent, not UTF-8 text or not CSV, lacks a required column, names one twice, or
            has a row with too few or too many cells; the message names file, row and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            records = list(csv.reader(file, strict=True))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Give the path of a predictions CSV.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}. Check quotes and the size of cells.") from error
    if not records:
        raise DataError(f"{path}: the file is empty. The first row must name the columns {', '.join(REQUIRED)}.")
    return _columns(path, records)


def _columns(path: Path, records: list[list[str]]) -> Predictions:
    header = [name.strip() for name in records[0]]
    for name in (*REQUIRED, *KEY):
        if header.count(name) > 1:
            raise DataError(f"{path}: the column '{name}' appears {header.count(name)} times. Keep one.")
    for name in REQUIRED:
        if name not in header:
            raise DataError(f"{path}: {unknown_column(name, header)}")
    rows = []
    for number, cells in enumerate(records[1:], start=2):
        if not cells:  # a blank line
            continue
        if len(cells) != len(header):
            at = header[len(cells)] if len(cells) < len(header) else f"number {len(header) + 1}"
            raise DataError(
                f"{path}: row {number} has {len(cells)} cells, the header {len(header)}; it goes wrong at"
                f" column '{at}'. Quote texts that contain commas, quotes or line breaks."
            )
        rows.append((number, cells))
    place = {name: header.index(name) for name in (*REQUIRED, *KEY) if name in header}
    keyed = all(name in place for name in KEY)
    return Predictions(
        path,
        tuple(number for number, _ in rows),
        tuple(cells[place["prediction"]] for _, cells in rows),
        tuple(cells[place["reference"]] for _, cells in rows),
        tuple((cells[place[KEY[0]]], cells[place[KEY[1]]]) for _, cells in rows) if keyed else None,
    )


def unknown_column(name: str, header: list[str]) -> str:
    """Return the text of a missing-column error."""
    return f"the column '{name}' is missing. Columns here: {', '.join(header)}. Needed: {', '.join(REQUIRED)}."
