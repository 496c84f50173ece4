"""CSV and TSV manifests in the three layouts of the seed, and with aliases.

The heading decides the layout (see `FIELD_COLUMNS`), the suffix the separator. Quoting is strict: a stray or
unclosed quote is an error on its row instead of a silently swallowed half of the file.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from panollava.data.formats.record import DEFAULT_QUERY, Record, bad_cell, match_columns, present, read_text
from panollava.errors import DataError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_SEPARATOR_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons"}


def read_table(path: Path, *, require_answer: bool) -> Iterator[Record]:
    """Yield one record per row of a `.csv` or `.tsv` file.

    Args:
        path: The manifest; UTF-8, with a heading row.
        require_answer: Whether an answer column must be there (empty cells are the caller's business).

    Yields:
        Records in file order; blank lines are skipped but counted.

    Raises:
        DataError: Encoding, quoting, heading, or a row with too many or too few cells.
    """
    delimiter = _DELIMITERS[path.suffix.lower()]
    rows = _rows(path, delimiter)
    head_line, heading = next(rows, (1, []))
    if not heading:
        raise bad_cell(path, "row 1", "url", "the file is empty; it needs a heading such as url,query,annotation")
    _check_separator(path, head_line, heading, delimiter)
    columns = match_columns(path, f"row {head_line}", heading, require_answer=require_answer)
    index = {field: heading.index(column) for field, column in columns.items()}
    for line, cells in rows:
        where = f"row {line}"
        if len(cells) < len(heading):
            raise bad_cell(
                path,
                where,
                heading[len(cells)],
                f"the row has {len(cells)} cells and the heading {len(heading)}; add the missing cells",
            )
        if len(cells) > len(heading):
            raise bad_cell(
                path,
                where,
                heading[-1],
                f"the row has {len(cells)} cells and the heading {len(heading)}; put the text that contains "
                f"{_SEPARATOR_NAMES[delimiter]} in double quotes",
            )
        texts = {field: cells[position] for field, position in index.items()}
        yield Record(
            row=line,
            where=where,
            key=str(line),
            columns=columns,
            image=texts["image"].strip(),
            query=(present(texts["query"]) or "") if "query" in texts else DEFAULT_QUERY,
            answer=present(texts.get("answer", "")),
            kind=present(texts.get("kind", "")) or "",
            sample_id=present(texts.get("id", "")) or "",
            prediction=texts.get("prediction"),
        )


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line of the row, cells), skipping blank lines."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    heading: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            column = heading[0] if heading else "url"
            raise DataError(
                f"{path}, row {line}, column '{column}' or later: {error}. A cell that starts with a double "
                "quote "
                'must end with one, and quotes inside it are doubled ("").'
            ) from error
        if len(cells) <= 1 and not "".join(cells).strip():
            continue
        heading = heading or cells
        yield line, cells


def _check_separator(path: Path, line: int, heading: list[str], delimiter: str) -> None:
    """Refuse a heading that is one cell only because another separator is used."""
    if len(heading) > 1:
        return
    for other, name in _SEPARATOR_NAMES.items():
        if other != delimiter and other in heading[0]:
            fix = "name the file .tsv" if other == "\t" else f"save it with {_SEPARATOR_NAMES[delimiter]}"
            raise bad_cell(
                path,
                f"row {line}",
                heading[0],
                f"the heading is one cell and contains {name}, but {path.suffix} means "
                f"{_SEPARATOR_NAMES[delimiter]}; {fix}",
            )
