import numpy as np
import pytest

from panollava.metrics import compute_text_metrics
from panollava.metrics.numeric import number_errors, number_hits, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("There are seven chairs.", 7),
        ("Twenty-one", 21),
        ("thirty two", 32),
        ("ninety", 90),
        ("none", 0),
        ("-3.5", -3.5),
        ("\u22123", -3),
        ("1,234,567", 1234567),
        ("about 2.5m away", 2.5),
        ("45\u00b0", 45),
        ("\uff14", 4),
        ("2 (two)", 2),
        ("-0", 0),
        ("the 1st", None),
        ("a 3d view", None),
        ("2 or 3", None),
        ("1.2.3", None),
        ("someone", None),
        ("one-way", None),
        ("", None),
        ("many", None),
    ],
)
def test_the_one_number_of_a_text(text, number):
    assert read_number(text) == number


def test_accuracy_and_error_of_numbers():
    said = ["two", "4 chairs", "lots", "", "red"]
    true = [["2"], ["5", "7"], ["3"], ["1"], ["blue"]]
    np.testing.assert_array_equal(number_hits(said, true), [1, 0, 0, 0, np.nan])
    np.testing.assert_array_equal(number_errors(said, true), [0, 1, np.nan, np.nan, np.nan])
    report = compute_text_metrics(said, true, metrics=["number_accuracy", "number_mae"])
    assert report.scores == {"number_accuracy": 0.25, "number_mae": 0.5}
    assert report["number_accuracy"].note.startswith("4 of 5 items")
    assert report["number_mae"].note == "mean over the 2 of 4 predictions that name one number"
    assert "items:2" in report["number_mae"].signature
    assert not report["number_mae"].higher_is_better


def test_no_number_anywhere_is_missing_not_zero():
    report = compute_text_metrics(["a", "2"], ["b", "c"], metrics=["number_accuracy", "number_mae"])
    assert report.scores == {"number_accuracy": None, "number_mae": None}
    report = compute_text_metrics(["a"], ["2"], metrics=["number_accuracy", "number_mae"])
    assert report.scores == {"number_accuracy": 0.0, "number_mae": None}
    assert "no prediction names one number" in report["number_mae"].reason
