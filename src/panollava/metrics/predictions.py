"""Read a predictions file: ``image_path,original_query,prediction,reference``; the last two are required.

The columns ``nll`` and ``tokens``, where the file has them, are kept for perplexity, and ``reference_image`` for
DINO similarity; any other is ignored.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from panollava.errors import DataError, MetricError, unknown_name
from panollava.metrics.csv_text import read_sheet
from panollava.metrics.items import PROTOCOLS, Items, check_items, check_reference, check_text, group_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = ("prediction", "reference")
KEY = ("image_path", "original_query")
LIKELIHOOD = ("nll", "tokens")
KEPT = (*LIKELIHOOD, "reference_image")


@dataclass(frozen=True, slots=True)
class Predictions:
    """The columns of a predictions file.

    Attributes:
        path: the file, for messages.
        rows: the number of each row, as a spreadsheet counts (the header is row 1).
        predictions: one per row.
        references: one per row.
        images: the image of each row, or None when the file has no such column.
        queries: the query of each row, or None.
        cells: further columns by name, one text per row.
    """

    path: Path
    rows: tuple[int, ...]
    predictions: tuple[str, ...]
    references: tuple[str, ...]
    images: tuple[str, ...] | None = None
    queries: tuple[str, ...] | None = None
    cells: "Mapping[str, tuple[str, ...]]" = field(default_factory=lambda: MappingProxyType({}))

    def items(self, *, protocol: str | None = None) -> Items:
        """Return what to score.

        Args:
            protocol: "grouped" or "rows"; when absent, grouped if the file names image and query, else rows.

        Raises:
            MetricError: The protocol is unknown or needs columns that the file has not; an unusable cell,
                named by its row as a spreadsheet counts (the header is row 1).
        """
        keyed = self.images is not None and self.queries is not None
        chosen = protocol or ("grouped" if keyed else "rows")
        if chosen not in PROTOCOLS:
            raise MetricError(unknown_name("protocol", chosen, PROTOCOLS))
        try:
            if not self.rows:
                raise MetricError("row 2: no predictions to score. Give at least one row below the heading.")
            for row, prediction, reference in zip(self.rows, self.predictions, self.references, strict=True):
                check_text(prediction, what="prediction", row=row)
                check_reference(reference, row=row)
            return self._by_rows() if chosen == "rows" else self._grouped()
        except MetricError as error:
            raise MetricError(f"{self.path}: {error}") from error

    def _by_rows(self) -> Items:
        items = check_items(
            self.predictions, self.references, protocol="rows", images=self.images, queries=self.queries
        )
        columns = [column for column in (self.images, self.queries) if column is not None]
        seen = set(zip(*columns, self.predictions, self.references, strict=True))
        return replace(
            items,
            row_numbers=tuple((number,) for number in self.rows),
            cells={name: tuple((text,) for text in column) for name, column in self.cells.items()},
            repeated_rows=len(self.rows) - len(seen),
        )

    def _grouped(self) -> Items:
        if self.images is None or self.queries is None:
            raise MetricError(
                f"the protocol 'grouped' needs the columns {' and '.join(KEY)}. Add them, or use the protocol 'rows'."
            )
        for row, image in zip(self.rows, self.images, strict=True):
            if not image.strip():
                raise MetricError(
                    f"row {row}: the {KEY[0]} is empty, so the row belongs to no item. Fill it, or use the"
                    " protocol 'rows'."
                )
        return group_rows(
            self.predictions,
            self.references,
            images=self.images,
            queries=self.queries,
            row_numbers=self.rows,
            cells=self.cells,
        )


def read_predictions(path: Path) -> Predictions:
    """Read a predictions CSV; ``csv_text`` says which encodings and delimiters.

    Raises:
        DataError: The file is absent, not text or not CSV, lacks a required column, names one twice, or
            has a row with too few or too many cells; the message names file, row and column.
    """
    sheet = read_sheet(path, required=REQUIRED)
    columns: dict[str, tuple[str, ...]] = {}
    for name in (*REQUIRED, *KEY, *KEPT):
        if sheet.header.count(name) > 1:
            raise DataError(f"{path}: row 1: the column '{name}' appears {sheet.header.count(name)} times. Keep one.")
        if name in sheet.header:
            place = sheet.header.index(name)
            columns[name] = tuple(cells[place] for _, cells in sheet.rows)
    return Predictions(
        path,
        tuple(number for number, _ in sheet.rows),
        columns["prediction"],
        columns["reference"],
        columns.get(KEY[0]),
        columns.get(KEY[1]),
        {name: columns[name] for name in KEPT if name in columns},
    )
