"""What is scored: predictions with their references, checked once, at the door.

Two protocols, and both are named in every report, because they give different numbers:

``grouped``
    Rows with the same (image, query) are one item with several references. A prediction is compared with
    all of them, as COCO caption evaluation does.
``rows``
    Every row is an item of its own with a single reference, as published tables of panorama captioning do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from panollava.errors import MetricError, unknown_name

PROTOCOLS = ("grouped", "rows")


@dataclass(frozen=True, slots=True)
class Items:
    """Checked predictions and references.

    Attributes:
        predictions: one text per item; may be empty, which scores 0 and is counted.
        references: one or more non-empty texts per item.
        protocol: "grouped" or "rows".
        rows: how many rows the items were made of.
    """

    predictions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    protocol: str
    rows: int

    @property
    def empty_predictions(self) -> int:
        """Number of predictions without a visible character."""
        return sum(not text.strip() for text in self.predictions)


def check_items(
    predictions: Sequence[str], references: Sequence[str] | Sequence[Sequence[str]], *, protocol: str = "rows"
) -> Items:
    """Check that every prediction is a text and has at least one reference.

    Args:
        predictions: one text per item.
        references: per item a text, or a sequence of texts.
        protocol: the protocol that made the items, for the report.

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
    return Items(tuple(predictions), tuple(groups), protocol, count)


def group_rows(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    images: Sequence[str],
    queries: Sequence[str],
    row_numbers: Sequence[int] | None = None,
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
    numbers = row_numbers if row_numbers is not None else range(1, len(predictions) + 1)
    first: dict[tuple[str, str], tuple[int, str]] = {}
    grouped: dict[tuple[str, str], list[str]] = {}
    for row, prediction, reference, image, query in zip(numbers, predictions, references, images, queries, strict=True):
        check_text(prediction, what="prediction", row=row)
        check_reference(reference, row=row)
        key = (image, query)
        earlier, text = first.setdefault(key, (row, prediction))
        if text != prediction:
            raise MetricError(
                f"rows {earlier} and {row} have the same image '{image}' and query '{query}' but"
                " different predictions, so they cannot be one item. Keep one prediction per question, or"
                " score each row by itself with the protocol 'rows'."
            )
        grouped.setdefault(key, []).append(reference)
    return check_items([first[key][1] for key in grouped], list(grouped.values()), protocol="grouped")


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
