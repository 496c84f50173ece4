import math

import pytest

from panollava.errors import MetricError
from panollava.metrics.items import check_items, group_rows


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["a"], ["a", "b"], "1 predictions but 2 reference entries"),
        ([], [], "no predictions to score"),
        (["a", math.nan], ["a", "b"], "row 2: the prediction is nan, not a text"),
        (["a", None], ["a", "b"], "row 2: the prediction is None, not a text"),
        (["a"], [math.nan], "row 1: the reference is nan, not a text"),
        (["a"], [["b", math.nan]], "row 1: the reference is nan, not a text"),
        (["a", "b"], ["a", "NaN"], "row 2: the reference is 'NaN', not a text"),
        (["a", "b"], ["a", " \n"], "row 2: the reference is empty"),
        (["a", "b"], [["a"], []], "row 2 has no reference"),
        ("a", ["a"], "got one text"),
    ],
)
def test_unusable_input_names_the_row(predictions, references, message):
    with pytest.raises(MetricError, match=message):
        check_items(predictions, references)


def test_an_empty_prediction_is_kept_and_counted():
    items = check_items(["", " ", "a"], ["a", "b", "c"])
    assert (len(items.predictions), items.empty_predictions) == (3, 2)


def test_rows_of_one_question_become_one_item_with_several_references():
    items = group_rows(["x", "y", "x"], ["r1", "r2", "r1"], images=["i", "j", "i"], queries=["q", "q", "q"])
    assert items.predictions == ("x", "y")
    assert items.references == (("r1", "r1"), ("r2",))  # a repeated row is a repeated reference
    assert (items.protocol, items.rows) == ("grouped", 3)


def test_two_predictions_for_one_question_are_refused_with_both_rows():
    with pytest.raises(MetricError, match="rows 2 and 4 have the same image 'i' and query 'q'"):
        group_rows(["x", "y"], ["r", "r"], images=["i", "i"], queries=["q", "q"], row_numbers=[2, 4])
    with pytest.raises(MetricError, match="the columns must have one length"):
        group_rows(["x"], ["r", "r"], images=["i", "i"], queries=["q", "q"])
