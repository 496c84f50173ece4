import csv
import io

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
            "row 2 has 3 cells, the header 2; it goes wrong at column 'number 3'",
        ),
        ('prediction,reference\n"x,r\n', "not a CSV file"),
    ],
)
def test_a_malformed_file_names_row_and_column(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_other_encodings_and_absent_files_are_named(tmp_path):
    with pytest.raises(DataError, match="byte 21 is not UTF-8"):
        read(tmp_path, "prediction,reference\n\u00e9,r\n", encoding="latin-1")
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
