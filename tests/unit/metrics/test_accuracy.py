import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics.accuracy import (
    accuracy_by_kind,
    direction_confusion,
    exact_match,
    find_sector,
    normalize_answer,
    sector_scores,
    soft_angle_score,
)

EIGHT = ("front", "front right", "right", "behind right", "behind", "behind left", "left", "front left")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Front-Left.", "front left"),
        ("three", "3"),
        ("It's  2.5 m!", "its 2.5 m"),
        ("A", "a"),
        ("an_answer", "answer"),
        ("\uff12", "2"),
        ("...", ""),
    ],
)
def test_normalisation(text, normal):
    assert normalize_answer(text) == normal


def test_exact_match_takes_any_reference_and_counts_an_empty_answer_as_wrong():
    assert exact_match(["two", "", "red"], [["2", "3"], ["."], ["blue"]]).tolist() == [1.0, 0.0, 0.0]


def test_accuracy_by_kind():
    table = accuracy_by_kind([1, 0, 1, 1], kinds=["b", "a", "b", "a"])
    assert [(kind, entry.value, entry.count) for kind, entry in table.items()] == [
        ("a", 0.5, 2),
        ("b", 1.0, 2),
    ]
    with pytest.raises(MetricError, match="2 items but 1 kinds"):
        accuracy_by_kind([1, 0], kinds=["a"])


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("front left", 7),
        ("It is behind, to your right", None),
        ("Behind-right!", 3),
        ("leftover", None),
        ("", None),
    ],
)
def test_a_direction_is_read_only_when_exactly_one_is_named(text, index):
    assert find_sector(text, sectors=EIGHT) == index


def test_confusion_counts_rows_by_truth_and_has_a_column_for_no_answer():
    counts = direction_confusion(
        ["left", "front", "I do not know", ""], references=["left", "left", "left", "behind"], sectors=EIGHT
    )
    assert counts.shape == (8, 9)
    assert counts[6].tolist() == [1, 0, 0, 0, 0, 0, 1, 0, 1]
    assert counts[4, 8] == 1
    assert counts.sum() == 4


def test_confusion_refuses_a_reference_that_is_no_direction():
    with pytest.raises(MetricError, match="row 1: the reference 'red' does not name exactly one"):
        direction_confusion(["left"], references=["red"], sectors=EIGHT)


@pytest.mark.parametrize(("delta", "score"), [(0, 1), (22.5, 0.5), (-22.5, 0.5), (45, 0), (180, 0), (337.5, 0.5)])
def test_soft_score_falls_to_zero_at_45_degrees_and_wraps(delta, score):
    assert soft_angle_score(delta) == pytest.approx(score)


def test_neighbouring_sectors_across_the_seam_of_the_list_are_neighbours():
    sixteen = tuple(f"s{i:02}" for i in range(16))
    scores = sector_scores(["s15", "s01", "s08", ""], references=["s00"] * 4, sectors=sixteen)
    np.testing.assert_allclose(scores, [0.5, 0.5, 0.0, 0.0])
