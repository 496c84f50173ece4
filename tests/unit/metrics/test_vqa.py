import pytest

from panollava.errors import MetricError
from panollava.metrics import compute_text_metrics
from panollava.metrics.vqa import normalize_vqa, unreachable, vqa_accuracy

from .official import official

CASES = official("vqa")["cases"]


def test_four_hundred_answers_score_as_in_the_official_script():
    assert len(CASES) == 400
    assert sum(0 < accuracy < 1 for *_, accuracy in CASES) > 50
    for prediction, people, normal, accuracy in CASES:
        assert normalize_vqa(prediction.replace("\n", " ").replace("\t", " ").strip()) == normal
        assert vqa_accuracy([prediction], [people]).tolist() == [accuracy], (prediction, people)


@pytest.mark.parametrize(("agree", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_the_mean_over_the_sets_that_leave_one_person_out(agree, score):
    people = ["red"] * agree + ["blue"] * (10 - agree)
    assert vqa_accuracy(["red"], [people])[0] == pytest.approx(score)


def test_an_empty_answer_is_wrong_even_where_the_official_script_lets_it_match():
    assert vqa_accuracy(["", "..."], [["...", ".", ". .", "?"]] * 2).tolist() == [0.0, 0.5]


def test_too_few_people_are_refused():
    with pytest.raises(MetricError, match="item 2 has 3 answers"):
        vqa_accuracy(["a", "b"], [["a"] * 4, ["b"] * 3])
    result = compute_text_metrics(["a"], [["a", "b"]], metrics=["vqa_accuracy"])["vqa_accuracy"]
    assert result.value is None
    assert "row 1 has 2. Give one row per person" in result.reason


def test_references_out_of_normal_form_are_counted_and_in_majority_refused():
    people = ["yes"] * 8 + ["Yes", "the yes"]
    assert unreachable([people]) == 2
    result = compute_text_metrics(["yes"], [people], metrics=["vqa_accuracy"])["vqa_accuracy"]
    assert (result.value, result.note) == (1.0, "2 of 10 references are not in normal form and match no prediction")
    result = compute_text_metrics(["Yes"], [["Yes"] * 10], metrics=["vqa_accuracy"])["vqa_accuracy"]
    assert result.value is None
    assert "so 10 of 10 here" in result.reason


def test_another_number_of_people_is_remarked_on():
    result = compute_text_metrics(["no"], [["no"] * 5], metrics=["vqa_accuracy"])["vqa_accuracy"]
    assert (result.value, result.note) == (1.0, "1 items have not 10 answers")
