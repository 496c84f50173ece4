import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.errors import DataError, MetricError
from panollava.metrics.predictions import read_predictions

HEADER = "image_path,original_query,prediction,reference\n"


def read(tmp_path, text, *, encoding="utf-8"):
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode(encoding))
    return read_predictions(path)


def test_the_documented_layout_is_grouped_by_default(tmp_path):
    table = read(tmp_path, HEADER + "a.jpg,what?,x,r1\na.jpg,what?,x,r2\n")
    assert table.items().references == (("r1", "r2"),)
    assert table.items(protocol="rows").references == (("r1",), ("r2",))


def test_two_columns_suffice_and_mean_rows(tmp_path):
    items = read(tmp_path, '\ufeffreference,prediction\n"r,1",x\nr2,\n').items()
    assert (items.protocol, items.predictions, items.references) == ("rows", ("x", ""), (("r,1",), ("r2",)))


def test_carriage_returns_and_line_separators_inside_a_cell_stay_there(tmp_path):
    items = read(tmp_path, 'prediction,reference\n"a\r\nb","r\u2028s"\nx,t\n').items()
    assert items.predictions == ("a\r\nb", "x")
    assert items.references == (("r\u2028s",), ("t",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("prediction\nx\n", "the column 'reference' is missing. Columns here: prediction"),
        ("prediction,reference,prediction\na,b,c\n", "the column 'prediction' appears 2 times"),
        (
            "prediction,reference\nx,r\nonly\n",
            "row 3 has 1 cells, the header 2; it goes wrong at column 'reference'",
        ),
        (
            "prediction,reference\nx,r,s\n",
            "row 2 has 3 cells, the header 2; it goes wrong at column number 3",
        ),
        (
            'prediction,reference\nx,r\nx,"r\n',
            "row 3, column 'reference': not a CSV file: a quote is opened and never closed",
        ),
        (
            'prediction,reference\n"two\nlines",r\n"x"y,r\n',
            "row 3, column 'prediction': not a CSV file: text follows a closing quote",
        ),
        ("prediction,refrence\nx,r\n", "row 1: the column 'reference' is missing. Did you mean to call 'refrence' so?"),
        ("Prediction,reference\nx,r\n", "Did you mean to call 'Prediction' so?"),
        ("prediction,reference\nx,r\0\n", "row 2, column 'reference': a NUL character"),
        ("prediction,reference\nx,r\n" + "y" * 1_000_001 + ",r\n", "row 3, column 'prediction': 1,000,001 characters"),
        ("\n\nprediction,reference\nx\n", "row 4 has 1 cells"),
    ],
)
def test_a_malformed_file_names_row_and_column(tmp_path, text, message):
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, text)


def test_other_encodings_and_absent_files_are_named(tmp_path):
    with pytest.raises(
        DataError, match=r"row 3, column 'reference': byte 34 \(0xe9\) is not UTF-8 \(in Latin-1: '\u00e9'\)"
    ):
        read(tmp_path, 'prediction,reference\n"a\nb",r\n"x,",\u00e9t\u00e9\n', encoding="latin-1")
    with pytest.raises(DataError, match=r"row 2, column 'prediction': byte 46 .* is not UTF-16-LE"):
        path = tmp_path / "cut.csv"
        path.write_bytes(b"\xff\xfe" + "prediction,reference\nab".encode("utf-16-le")[:-1])
        read_predictions(path)
    with pytest.raises(DataError, match=r"a NUL character\. The file is damaged, or UTF-16"):
        read(tmp_path, "prediction,reference\nx,r\n", encoding="utf-16-le")
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("x,r\n\nx,\n", "row 4: the reference is empty"),
        ("x,r\nnan,r\n", "row 3: the prediction is 'nan'"),
        ("", "no predictions to score"),
    ],
)
def test_unusable_cells_name_file_and_spreadsheet_row(tmp_path, rows, message):
    with pytest.raises(MetricError, match=rf"p\.csv: .*{message}"):
        read(tmp_path, "prediction,reference\n" + rows).items()


def test_grouping_needs_its_columns(tmp_path):
    with pytest.raises(MetricError, match="needs the columns image_path and original_query"):
        read(tmp_path, "prediction,reference\nx,r\n").items(protocol="grouped")


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), max_size=5), max_size=5), st.binary(max_size=3))
def test_whatever_the_file_holds_the_error_is_ours(tmp_path_factory, rows, noise):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["prediction", "reference"], *rows])
    path = tmp_path_factory.mktemp("any") / "p.csv"
    path.write_bytes(text.getvalue().encode("utf-8", "surrogatepass") + noise)
    try:
        items = read_predictions(path).items()
    except (DataError, MetricError) as error:
        assert str(path) in str(error)
    else:
        assert len(items.predictions) == len(items.references) > 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(tmp_path, encoding, delimiter):
    text = (
        delimiter.join(["kind", "prediction", "reference"]) + "\r\n" + delimiter.join(["k", '"a\nb"', "\uc18c, x; y"])
    )
    if delimiter in ",;":
        text = text.replace("\uc18c, x; y", '"\uc18c, x; y"')
    items = read(tmp_path, text, encoding=encoding).items()
    assert (items.predictions, items.references) == (("a\nb",), (("\uc18c, x; y",),))


def test_the_limit_of_cells_of_the_process_is_left_as_it_was(tmp_path):
    before = csv.field_size_limit(1000)
    try:
        read(tmp_path, "prediction,reference\n" + "y" * 200_000 + ",r\n")
        with pytest.raises(DataError):
            read(tmp_path, 'prediction,reference\n"x\n')
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(before)


def test_repeated_rows_are_counted_and_kept(tmp_path):
    table = read(tmp_path, HEADER + "a.jpg,q,x,r\na.jpg,q,x,r\na.jpg,q,x,s\n")
    grouped, rows = table.items(), table.items(protocol="rows")
    assert (grouped.repeated_rows, grouped.references) == (1, (("r", "r", "s"),))
    assert (rows.repeated_rows, len(rows.predictions), rows.images) == (1, 3, ("a.jpg",) * 3)
    assert (grouped.row_numbers, rows.place(1), grouped.place(0)) == (((2, 3, 4),), "row 3", "rows 2, 3, 4")


def test_a_row_without_an_image_belongs_to_no_item(tmp_path):
    table = read(tmp_path, HEADER + "a.jpg,q,x,r\n,q,x,r\n")
    with pytest.raises(MetricError, match="row 3: the image_path is empty"):
        table.items()
    assert len(table.items(protocol="rows").predictions) == 2


COLUMNS = ("image_path", "original_query", "prediction", "reference")
FAULTS = (
    "short",
    "long",
    "closed",
    "open",
    "byte",
    "nul",
    "nan",
    "empty",
    "heading",
    "twice",
    "differ",
    "image",
    "huge",
)


def damage(rows, fault, row, column):
    """Return the bytes of a file with one fault in it, and the words that its message must hold."""
    cells = [list(COLUMNS), *([f"{i}.jpg", "q\nr", *pair] for i, pair in enumerate(rows))]
    name, number = COLUMNS[column], row + 1
    if fault == "short":
        cells[row], name = cells[row][:column], COLUMNS[column]
    elif fault == "long":
        cells[row].append("x")
        name = "number 5"
    elif fault == "nan":
        name = COLUMNS[2 + column % 2]
        cells[row][2 + column % 2] = "NaN"
    elif fault == "empty":
        cells[row][3], name = " ", "reference"
    elif fault in ("heading", "twice"):
        cells[0][3], name, number = (
            ("referenc", "reference", 1) if fault == "heading" else ("prediction", "reference", 1)
        )
    elif fault == "differ":
        cells.append([*cells[row][:2], "another text", "r"])
        name = "image"
    elif fault == "image":
        cells[row][0], name = "", "image_path"
    elif fault == "huge":
        cells[row][column] = "h" * 1_000_001
    else:
        cells[row][column] = "MARK"
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(cells)
    marks = {"closed": b'x"y', "open": b'"x', "byte": b"\xe9", "nul": b"\0"}
    raw = text.getvalue().encode("utf-8").replace(b'"MARK"' if fault == "open" else b"MARK", marks.get(fault, b"MARK"))
    return raw, [f"{number}", name]


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).filter(
    lambda text: text.strip() and text.strip().lower() != "nan" and "MARK" not in text
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.data())
def test_two_hundred_malformed_files_name_file_row_and_column(tmp_path_factory, data):
    rows = data.draw(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=4))
    fault = data.draw(st.sampled_from(FAULTS))
    row, column = data.draw(st.integers(1, len(rows))), data.draw(st.integers(0, 3))
    if fault == "short" and column == 0:
        column = 1  # a row without a cell is a blank line
    raw, words = damage(rows, fault, row, column)
    path = tmp_path_factory.mktemp("bad") / "p.csv"
    path.write_bytes(raw)
    with pytest.raises((DataError, MetricError)) as caught:
        read_predictions(path).items()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    for word in words:
        assert re.search(rf"\b{re.escape(word)}\b", message.removeprefix(str(path))), message
