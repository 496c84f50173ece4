import sys
from importlib.metadata import EntryPoint

import pytest

from panollava.errors import MetricError
from panollava.metrics import check_items, compute_text_metrics, group_rows, load_custom, score_items
from panollava.metrics import custom as module

SOURCE = """
from dataclasses import dataclass


@dataclass
class Limits:
    words: int = 3


def brevity(predictions, references):
    return [min(1.0, Limits().words / max(1, len(p.split()))) for p in predictions]


def share(predictions, references):
    return sum(p in r for p, r in zip(predictions, references)) / len(predictions)


def length(predictions, references):
    return [len(p) for p in predictions]


length.higher_is_better = False
value = 3


def fails(predictions, references):
    return [1 / (p != "bad") for p in predictions]


def fails_on_all(predictions, references):
    if len(predictions) > 1:
        raise ValueError("too many")
    return [1.0]


def short(predictions, references):
    return [1.0]


def hole(predictions, references):
    return [1.0, float("nan"), 1.0][: len(predictions)]


def text(predictions, references):
    return "good"


def nothing(predictions, references):
    return None


def infinite(predictions, references):
    return float("inf")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def scored(file, *names, predictions=("one", "bad", "one two three four")):
    custom = load_custom([f"my_{name}={file}:{name}" for name in names])
    items = group_rows(predictions, ["one"] * 3, images=["i", "j", "k"], queries=["q"] * 3, row_numbers=[2, 3, 4])
    return score_items(items, metrics=list(custom), custom=custom)


def test_scores_of_items_and_of_the_whole(file):
    report = scored(file, "brevity", "share", "length")
    assert report["my_brevity"].per_item == (1.0, 1.0, 0.75)
    assert report.scores == {"my_brevity": pytest.approx(2.75 / 3), "my_share": 1 / 3, "my_length": 8.0}
    assert report["my_share"].totals is None  # one score for all: nothing to resample
    assert [result.higher_is_better for result in report.results] == [True, True, False]
    assert report["my_brevity"].implementation == f"{file}:brevity"


def test_the_signature_changes_with_the_source(file):
    before = scored(file, "share")["my_share"].signature
    assert before.startswith("nrefs:1|custom:my_share|source:sha256-")
    assert scored(file, "share")["my_share"].signature == before
    file.write_text(SOURCE + "\n# another\n")
    assert scored(file, "share")["my_share"].signature != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"the metric 'my_fails' \(.*mine.py:fails\) failed at row 3: ZeroDivisionError"),
        ("fails_on_all", r"'my_fails_on_all' .* failed: ValueError: too many"),
        ("short", "returned 1 scores for 3 items"),
        ("hole", "returned nan for row 3"),
        ("text", "returned a str; return one float"),
        ("nothing", "returned a NoneType"),
        ("infinite", "returned inf; a score must be finite"),
    ],
)
def test_faults_name_the_function_and_the_row(file, name, message):
    with pytest.raises(MetricError, match=message):
        scored(file, name)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("brevity", "'brevity' defines no metric. Write NAME=FILE.py:FUNCTION"),
        ("my metric=FILE:brevity", "defines no metric"),
        ("a=absent.py:brevity", "absent.py: no such file"),
        ("a=FILE:brevety", r"no function 'brevety' in it. Functions: .*brevity"),
        ("a=FILE:value", "no function 'value' in it"),
    ],
)
def test_definitions_are_checked(file, definition, message):
    with pytest.raises(MetricError, match=message):
        load_custom([definition.replace("FILE", str(file))])


def test_a_file_that_cannot_be_imported_is_named(tmp_path, file):
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n")
    with pytest.raises(MetricError, match=r"broken.py: cannot be imported: SyntaxError"):
        load_custom([f"a={broken}:f"])
    broken.write_text("import a_module_that_nobody_has\n")
    with pytest.raises(MetricError, match="ModuleNotFoundError"):
        load_custom([f"a={broken}:f"])
    with pytest.raises(MetricError, match="the metric 'a' is defined twice"):
        load_custom([f"a={file}:share", f"a={file}:brevity"])


def test_our_names_cannot_be_taken(file):
    custom = load_custom([f"cider={file}:share"])
    with pytest.raises(MetricError, match="the name 'cider' is taken"):
        score_items(check_items(["a"], ["a"]), metrics=["cider"], custom=custom)


def test_an_entry_point_is_found_by_its_name(monkeypatch, tmp_path, file):
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("their_share", "mine:share", module.GROUP),
        EntryPoint("their_number", "mine:value", module.GROUP),
        EntryPoint("their_gap", "mine_absent:share", module.GROUP),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == module.GROUP else [])
    try:
        report = compute_text_metrics(["a", "b"], ["a", "c"], metrics=["their_share", "exact_match"])
        assert report.scores == {"their_share": 0.5, "exact_match": 0.5}
        assert "source:sha256-" in report["their_share"].signature
        assert report["their_share"].implementation == "mine:share"
        for name, message in [("their_number", "is a int, not a function"), ("their_gap", "cannot be imported")]:
            with pytest.raises(MetricError, match=message):
                compute_text_metrics(["a"], ["a"], metrics=[name])
        with pytest.raises(MetricError, match="Did you mean 'their_share'"):
            compute_text_metrics(["a"], ["a"], metrics=["their_shore"])
    finally:
        sys.modules.pop("mine", None)
