"""A CSV file as rows of cells: encodings, delimiters and damage, each fault with its row and column.

Read are UTF-8 with or without a byte order mark, UTF-16 and UTF-32 with one; cells apart by comma, semicolon, tab
or bar, whichever the heading uses; quoted cells may hold delimiters and line breaks. Rows are counted as a
spreadsheet counts them: the heading is row 1, a blank line counts, a line break inside a cell does not.
"""

import codecs
import csv
import difflib
import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
MAX_CELL = 1_000_000  # characters; a longer cell is a quote that was never closed, not a text
MAX_HEADING = 100_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LIMIT = threading.Lock()  # csv's limit on cells belongs to the whole process


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a file.

    Attributes:
        path: the file, for messages.
        header: the names of the columns.
        rows: (row number, cells) of each row that is not blank; every row has as many cells as the header.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read_sheet(path: Path, *, required: Sequence[str]) -> Sheet:
    """Read a CSV file.

    Args:
        path: the file.
        required: columns that must be there; they also tell the delimiter.

    Raises:
        DataError: The file cannot be read or decoded, is no CSV, lacks a required column, or has a row with too few
            or too many cells; the message names file, row and column.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}. Give the path of a predictions CSV.") from error
    text = decode(raw, path=path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty. The first row must name the columns {', '.join(required)}.")
    delimiter = find_delimiter(text, required=required)
    records = _records(text, delimiter, path)
    top = next(number for number, cells in enumerate(records, start=1) if cells)  # blank lines may stand above
    header = tuple(name.strip() for name in records[top - 1])
    for name in required:
        if name not in header:
            raise DataError(f"{path}: row {top}: {_missing(name, header, required)}")
    rows = []
    for number, cells in enumerate(records[top:], start=top + 1):
        if cells:
            _check_row(cells, header, f"{path}: row {number}")
            rows.append((number, tuple(cells)))
    return Sheet(path, header, tuple(rows))


def decode(raw: bytes, *, path: Path) -> str:
    """Return the text of a file, by its byte order mark, else as UTF-8.

    Raises:
        DataError: A byte that is not of the encoding; the message names its row and column.

    Example:
        >>> decode(codecs.BOM_UTF16_LE + "a,b".encode("utf-16-le"), path=Path("p.csv"))
        'a,b'
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if raw.startswith(mark)), (b"", "utf-8"))
    body = raw[len(mark) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(encoding, errors="replace")
        byte = body[error.start]
        guess = f" (in Latin-1: '{chr(byte)}')" if encoding == "utf-8" and byte >= 0xA0 else ""
        raise DataError(
            f"{path}: {_place(before, find_delimiter(before, required=()))}: byte {len(mark) + error.start}"
            f" (0x{byte:02x}) is not {encoding.upper()}{guess}. Save the file as UTF-8."
        ) from error
    if "\0" in text:
        before = text[: text.index("\0")]
        raise DataError(
            f"{path}: {_place(before, find_delimiter(before, required=()))}: a NUL character. The file is damaged, or"
            " UTF-16 without a byte order mark. Save it as UTF-8."
        )
    return text


def find_delimiter(text: str, *, required: Sequence[str]) -> str:
    r"""Return the delimiter under which the heading names the required columns, else the one it has most often.

    Example:
        >>> find_delimiter("prediction;reference\na,b;c", required=["prediction"])
        ';'
    """
    cut = {mark: _heading(text, mark) for mark in DELIMITERS}
    for mark, names in cut.items():
        if required and all(name in names for name in required):
            return mark
    return max(DELIMITERS, key=lambda mark: len(cut[mark]))


def _records(text: str, delimiter: str, path: Path) -> list[list[str]]:
    with _LIMIT:
        before = csv.field_size_limit(2**31 - 1)
        try:
            records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: {_fault(text, delimiter)}") from error
        finally:
            csv.field_size_limit(before)
    for number, cells in enumerate(records, start=1):
        for place, cell in enumerate(cells):
            if len(cell) > MAX_CELL:
                at = _name(place, _heading(text, delimiter))
                raise DataError(
                    f"{path}: row {number}, column {at}: {len(cell):,} characters; at most {MAX_CELL:,} are allowed."
                    " Is a quote open before it?"
                )
    return records


def _heading(text: str, delimiter: str) -> list[str]:
    """Return the names in the first line, whatever comes after it."""
    line = next((line for line in re.split(r"[\r\n]", text[:MAX_HEADING]) if line.strip()), "")
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]


def _check_row(cells: Sequence[str], header: Sequence[str], place: str) -> None:
    if len(cells) != len(header):
        at = f"'{header[len(cells)]}'" if len(cells) < len(header) else f"number {len(header) + 1}"
        raise DataError(
            f"{place} has {len(cells)} cells, the header {len(header)}; it goes wrong at column {at}."
            " Quote texts that contain commas, quotes or line breaks."
        )


def _missing(name: str, header: Sequence[str], required: Sequence[str]) -> str:
    lower = {column.lower(): column for column in header}
    near = difflib.get_close_matches(name, list(lower), n=1, cutoff=0.6)
    hint = f" Did you mean to call '{lower[near[0]]}' so?" if near else ""
    return f"the column '{name}' is missing.{hint} Columns here: {', '.join(header)}. Needed: {', '.join(required)}."


def _name(place: int, header: Sequence[str]) -> str:
    return f"'{header[place].strip()}'" if place < len(header) else f"number {place + 1}"


def _place(before: str, delimiter: str) -> str:
    """Return row and column of the character that follows ``before``."""
    row, column, _ = _scan(before, delimiter)
    return f"row {row}, column {_name(column, _heading(before, delimiter) if row > 1 else [])}"


def _fault(text: str, delimiter: str) -> str:
    """Say where a text stops being CSV, and why."""
    row, column, state = _scan(text, delimiter)
    why = "a quote is opened and never closed" if state == "quoted" else "text follows a closing quote"
    return (
        f"row {row}, column {_name(column, _heading(text, delimiter))}: not a CSV file: {why}. Double the quotes inside"
        " a quoted cell, and close every quote."
    )


def _scan(text: str, delimiter: str) -> tuple[int, int, str]:
    """Walk through cells; return row (from 1), column (from 0) and state at the first fault, or at the end.

    States: "start" of a cell, "plain", "quoted", "closed" (after a closing quote), "fault" (text after it).
    """
    row, column, state = 1, 0, "start"
    for place, letter in enumerate(text):
        if state == "quoted":
            state = "closed" if letter == '"' else "quoted"
        elif letter == '"' and state in ("start", "closed"):
            state = "quoted"  # opened, or doubled inside
        elif letter == delimiter:
            column, state = column + 1, "start"
        elif letter in "\r\n":
            row += 0 if letter == "\n" and text[place - 1 : place] == "\r" else 1
            column, state = 0, "start"
        elif state == "closed":
            return row, column, "fault"
        else:
            state = "plain"
    return row, column, state
