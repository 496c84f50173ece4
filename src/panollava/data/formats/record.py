"""What every manifest format yields, and what all of them share: fields, aliases, text decoding, error text.

A *field* is our name (`image`, `query`, `answer`, `kind`, `id`, `prediction`); a *column* is the name in the
user's file (a CSV heading or a JSON key). Errors always speak of columns.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import DataError

FIELD_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("url", "image_path", "image", "image_file", "file_name"),
    "query": ("query", "original_query", "instruction", "question"),
    "answer": ("annotation", "reference", "response", "answer", "caption"),
    "kind": ("kind", "type", "question_type"),
    "id": ("sample_id", "id"),
    "prediction": ("prediction",),
}
DEFAULT_QUERY = "Describe the panorama."

_FIELD_OF_COLUMN = {column: field for field, columns in FIELD_COLUMNS.items() for column in columns}
_MISSING = frozenset({"", "nan", "NaN"})


@dataclass(frozen=True, slots=True)
class Record:
    """One question about one image, as text, before the image is looked up.

    Attributes:
        row: 1-based line of the file, as an editor shows it, on which the record starts.
        where: The same for error messages, with the item or turn where a line holds several.
        key: Unique within the file; the default sample id is built from it.
        columns: Field -> the column that it came from.
        image: The cell as written, stripped.
        query: The cell, stripped, `""` where the cell is empty.
        answer: The cell, stripped, or None where the cell or the column is empty or absent.
        kind: The cell, stripped, or `""`.
        sample_id: The cell, stripped, or `""`.
        prediction: The cell exactly as written (an empty prediction stays `""`); None without such a column.
    """

    row: int
    where: str
    key: str
    columns: Mapping[str, str]
    image: str
    query: str
    answer: str | None
    kind: str
    sample_id: str
    prediction: str | None


def bad_cell(path: Path, where: str, column: str, problem: str) -> DataError:
    """Return the error for one cell: file, row, column, then the problem and its fix.

    Example:
        >>> str(bad_cell(Path("a.csv"), "row 3", "query", "the cell is empty; write a question"))
        "a.csv, row 3, column 'query': the cell is empty; write a question"
    """
    return DataError(f"{path}, {where}, column '{column}': {problem}")


def present(cell: str) -> str | None:
    """Return the stripped cell, or None for an empty or NaN cell.

    Example:
        >>> present(" a door "), present("  "), present("nan")
        ('a door', None, None)
    """
    text = cell.strip()
    return None if text in _MISSING else text


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file (a byte-order mark is dropped), or name the line that is not UTF-8."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the manifest cannot be read ({error.strerror or error}). Check the path.") from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{path}, row 1, column 1: the file is UTF-16, not UTF-8. Save it again as UTF-8 (Excel: 'CSV UTF-8')."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = 3 if raw.startswith(b"\xef\xbb\xbf") else 0  # positions in the error do not count the mark
        before = raw[start : start + error.start].decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        row, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise DataError(
            f"{path}, row {row}, column {column} (character): byte 0x{raw[start + error.start]:02x} "
            "is not UTF-8. Save the file again as UTF-8."
        ) from error


def match_columns(
    path: Path, where: str, names: Sequence[str], *, require_answer: bool, require_query: bool = True
) -> dict[str, str]:
    """Map fields to the columns that hold them.

    Names are compared stripped and in lower case. Columns that mean nothing to us are ignored, with one
    exception: where no column holds the query, every column must be known, because only then is the file a
    plain caption list and the question `DEFAULT_QUERY`; an unknown column might be a misspelt query.

    Args:
        path: The manifest, for messages.
        where: Where the names stand, for messages.
        names: The headings or keys, in order.
        require_answer: Whether an answer column must be there.
        require_query: Whether a query column must be there (a conversation holds its own).

    Returns:
        Field -> column, as it is spelt in the file.

    Raises:
        DataError: A field without a column (the nearest present column is named), two columns for one field,
            or a repeated column.
    """
    columns: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        plain = name.strip().lower()
        if plain and plain in seen:
            raise bad_cell(path, where, name, "the column is there twice; remove or rename one")
        seen.add(plain)
        field = _FIELD_OF_COLUMN.get(plain)
        if field is None:
            continue
        if field in columns:
            raise bad_cell(
                path,
                where,
                name,
                f"it and column '{columns[field]}' both hold the {field}; remove or rename one",
            )
        columns[field] = name
    wanted = ["image"]
    if require_query and any(plain and plain not in _FIELD_OF_COLUMN for plain in seen):
        wanted.append("query")
    if require_answer:
        wanted.append("answer")
    for field in wanted:
        if field not in columns:
            raise bad_cell(path, where, FIELD_COLUMNS[field][0], _absent(field, names, columns))
    return columns


def _absent(field: str, names: Sequence[str], columns: Mapping[str, str]) -> str:
    """Say that no column holds a field, with the nearest of the columns that hold nothing yet."""
    known = FIELD_COLUMNS[field]
    unused = [name for name in names if name.strip() and name not in columns.values()]
    closeness = {
        name: max(difflib.SequenceMatcher(None, name.strip().lower(), column).ratio() for column in known)
        for name in unused
    }
    near = max(unused, key=closeness.__getitem__, default=None)
    hint = f" The nearest column is '{near}'; rename it if that is the one." if near is not None else ""
    return (
        f"no column holds the {field} (one of: {', '.join(known)}).{hint} "
        f"Columns present: {', '.join(name for name in names if name.strip()) or '(none)'}"
    )
