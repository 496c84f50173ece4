"""What is scored: predictions with their references, checked once, at the door.

Two protocols, and both are named in every report, because they give different numbers:

``grouped``
    Rows with the same (image, query) are one item with several references. A prediction is compared with
    all of them, as COCO caption evaluation does.
``rows``
    Every row is an item of its own with a single reference, as published tables of panorama captioning do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from panollava.errors import MetricError, unknown_name

PROTOCOLS = ("grouped", "rows")
Numbers = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Items:
    """Checked predictions and references.

    Attributes:
        predictions: one text per item; may be empty, which scores 0 and is counted.
        references: one or more non-empty texts per item.
        protocol: "grouped" or "rows".
        rows: how many rows the items were made of.
        images: the image of each item, over which intervals and tests are clustered; empty where none is known.
        queries: the query of each item; empty where none is known.
        row_numbers: per item the numbers of its rows, one per reference, for messages.
        cells: further columns by name, per item one text per reference; ``nll`` and ``tokens`` for perplexity.
        repeated_rows: how many rows say the same as an earlier one; each counts like any other.
    """

    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    protocol: str
    rows: int
    images: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    row_numbers: Numbers = ()
    cells: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=lambda: MappingProxyType({}))
    repeated_rows: int = 0

    @property
    def empty_predictions(self) -> int:
        """Number of predictions without a visible character."""
        return sum(not text.strip() for text in self.predictions)

    def place(self, item: int) -> str:
        """Return the name of an item for messages: its rows, or its position counted from 1.

        Example:
            >>> check_items(["a"], ["b"]).place(0)
            'row 1'
        """
        numbers = self.row_numbers[item] if self.row_numbers else (item + 1,)
        return f"row {numbers[0]}" if len(numbers) == 1 else f"rows {', '.join(map(str, numbers))}"


def check_items(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    protocol: str = "rows",
    images: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
) -> Items:
    """Check that every prediction is a text and has at least one reference.

    Args:
        predictions: one text per item.
        references: per item a text, or a sequence of texts.
        protocol: the protocol that made the items, for the report.
        images: the image of each item, if known.
        queries: the query of each item, if known.

    Raises:
        MetricError: Unequal lengths, nothing to score, a cell that is not a text (NaN, None), or an empty
            reference. Rows are counted from 1 in the messages.

    Example:
        >>> check_items(["a dog"], [["a dog", "one dog"]]).references
        (('a dog', 'one dog'),)
    """
    if protocol not in PROTOCOLS:
        raise MetricError(unknown_name("protocol", protocol, PROTOCOLS))
    if isinstance(predictions, str) or isinstance(references, str):
        raise MetricError("predictions and references are sequences of texts; got one text. Put it in a list.")
    if len(predictions) != len(references):
        raise MetricError(
            f"{len(predictions)} predictions but {len(references)} reference entries: every prediction needs"
            " its own entry. Check that both come from the same rows."
        )
    for what, column in (("images", images), ("queries", queries)):
        if column is not None and len(column) != len(predictions):
            raise MetricError(f"{len(predictions)} predictions but {len(column)} {what}: give one per prediction.")
    if not len(predictions):
        raise MetricError("no predictions to score. Give at least one row.")
    groups = []
    for row, (prediction, entry) in enumerate(zip(predictions, references, strict=True), start=1):
        check_text(prediction, what="prediction", row=row)
        group = (entry,) if isinstance(entry, str) or not isinstance(entry, Sequence) else tuple(entry)
        if not group:
            raise MetricError(f"row {row} has no reference. Give at least one, or leave the row out.")
        for reference in group:
            check_reference(reference, row=row)
        groups.append(group)
    count = sum(map(len, groups)) if protocol == "grouped" else len(groups)
    texts = tuple(predictions)
    return Items(texts, tuple(groups), protocol, count, images=tuple(images or ()), queries=tuple(queries or ()))


def group_rows(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    images: Sequence[str],
    queries: Sequence[str],
    row_numbers: Sequence[int] | None = None,
    cells: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Items:
    """Join rows with the same (image, query) into one item with several references ("grouped").

    Items keep the order in which they first appear; references keep the order of their rows, and a repeated
    row counts as a repeated reference.

    Args:
        predictions: one per row; rows of one item must agree, because one answer is scored once.
        references: one per row.
        images: the image of each row.
        queries: the query of each row.
        row_numbers: what to call the rows in messages; 1, 2, ... when absent.
        cells: further columns by name, one text per row.

    Raises:
        MetricError: Columns of unequal length, unusable cells, or two predictions for one (image, query).

    Example:
        >>> group_rows(["x", "x"], ["a", "b"], images=["i", "i"], queries=["q", "q"]).references
        (('a', 'b'),)
    """
    lengths = {len(predictions), len(references), len(images), len(queries)}
    if len(lengths) != 1:
        raise MetricError(
            f"{len(predictions)} predictions, {len(references)} references, {len(images)} images and"
            f" {len(queries)} queries: the columns must have one length."
        )
    numbers = tuple(row_numbers) if row_numbers is not None else tuple(range(1, len(predictions) + 1))
    places: dict[tuple[str, str], list[int]] = {}
    for place, (image, query) in enumerate(zip(images, queries, strict=True)):
        check_text(predictions[place], what="prediction", row=numbers[place])
        check_reference(references[place], row=numbers[place])
        rows = places.setdefault((image, query), [])
        rows.append(place)
        if predictions[rows[0]] != predictions[place]:
            raise MetricError(
                f"rows {numbers[rows[0]]} and {numbers[place]} have the same image '{image}' and query '{query}' but"
                " different predictions, so they cannot be one item. Keep one prediction per question, or"
                " score each row by itself with the protocol 'rows'."
            )
    items = check_items(
        [predictions[rows[0]] for rows in places.values()],
        [[references[place] for place in rows] for rows in places.values()],
        protocol="grouped",
        images=[image for image, _ in places],
        queries=[query for _, query in places],
    )
    return replace(
        items,
        row_numbers=tuple(tuple(numbers[place] for place in rows) for rows in places.values()),
        cells={
            name: tuple(tuple(column[place] for place in rows) for rows in places.values())
            for name, column in cells.items()
        },
        repeated_rows=len(predictions) - len(set(zip(images, queries, references, strict=True))),
    )


def check_text(value: object, *, what: str, row: int) -> None:
    """Raise MetricError unless the value is a text (a NaN cell arrives as a float, or as the text "nan")."""
    if not isinstance(value, str) or value.strip().lower() == "nan":
        raise MetricError(
            f"row {row}: the {what} is {value!r}, not a text. Write an empty text for a model that said"
            " nothing, and leave out rows that were never predicted."
        )


def check_reference(value: object, *, row: int) -> None:
    """Raise MetricError unless the value is a text with a visible character."""
    check_text(value, what="reference", row=row)
    if not str(value).strip():
        raise MetricError(f"row {row}: the reference is empty, so nothing can match it. Fill it or leave the row out.")
