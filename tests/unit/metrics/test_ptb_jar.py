"""The official tokenizer as a subprocess, with a stand-in for java and, where it is installed, the real one."""

import sys

import pytest

from panollava.errors import MetricUnavailable
from panollava.metrics import compute_text_metrics, ptb_jar
from panollava.metrics.ptb_jar import count_broken, find_jar, official_lines, official_tokens

from .official_java import needs_coco


@pytest.fixture
def echo(monkeypatch):
    """Replace the Java program by one that returns its input in lower case; return what it was called with."""
    calls = []

    def run(args, *, stdin, timeout_s, cwd, what):
        calls.append({"args": list(args), "stdin": stdin, "timeout_s": timeout_s, "cwd": cwd, "what": what})
        assert cwd.is_dir()
        return stdin.lower()

    monkeypatch.setattr(ptb_jar, "run_java", run)
    monkeypatch.setattr(ptb_jar, "find_jar", lambda: "the.jar")
    return calls


def test_line_breaks_become_spaces_so_that_no_line_shifts(echo):
    texts = ["A\r\nB", "C\u2028D", "E\x85F", "G\vH\fI", "", "J\nK"]
    assert official_lines(texts) == ["a  b", "c d", "e f", "g h i", "", "j k"]
    assert count_broken(texts) == 5


def test_punctuation_goes_and_brackets_stay(monkeypatch, echo):
    monkeypatch.setattr(ptb_jar, "run_java", lambda *a, **k: "a -lrb- red -rrb- sofa , ok .\n4\u00a01/2 cups\n")
    assert official_tokens(["x", "y"]) == [["a", "-lrb-", "red", "-rrb-", "sofa", "ok"], ["4\u00a01/2", "cups"]]


def test_it_runs_once_in_a_folder_of_its_own_that_is_gone_afterwards(echo):
    official_lines(["a", "b"])
    assert len(echo) == 1
    assert not echo[0]["cwd"].exists()
    assert echo[0]["args"][-3:] == ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    assert echo[0]["timeout_s"] >= 60


def test_nothing_to_read_starts_nothing(echo):
    assert official_lines([]) == []
    assert echo == []


def test_another_number_of_lines_is_no_result(monkeypatch, echo):
    monkeypatch.setattr(ptb_jar, "run_java", lambda *a, **k: "one line\n")
    with pytest.raises(MetricUnavailable, match=r"wrote 1 lines for 2 texts.*Use ptb-py"):
        official_lines(["a", "b"])


def test_without_the_package_the_metric_is_missing_and_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    monkeypatch.setattr(ptb_jar, "find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match=r"package 'pycocoevalcap' is missing.*panollava\[coco\]"):
        find_jar()
    result = compute_text_metrics(["a sofa"], ["a sofa"], metrics=["cider"], tokenizer="ptb")["cider"]
    assert result.value is None
    assert "panollava[coco]" in result.reason


def test_a_package_without_the_jar_is_named(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(ptb_jar, "find_spec", lambda name: Spec)
    with pytest.raises(MetricUnavailable, match=r"in .* is no tokenizer/stanford-corenlp-3\.4\.1\.jar"):
        find_jar()


def test_the_signature_names_the_jar_and_the_note_counts_line_breaks(echo):
    report = compute_text_metrics(
        ["A red\nsofa", "a lamp"], ["a red sofa", "a lamp"], metrics=["cider", "coco_rougeL"], tokenizer="ptb"
    )
    assert "|tok:ptb-3.4.1|" in report["cider"].signature
    assert report["coco_rougeL"].value == 1.0
    assert "1 text holds a line break" in report["cider"].note


@needs_coco
def test_the_real_program_reads_each_text_on_a_line_of_its_own():
    texts = ["Mr. Smith's dog (left)\r\nisn't", "", "C\u2028D\x85E", "\U0001f600", "4 1/2 cups."]
    assert official_tokens(texts) == [
        ["mr.", "smith", "'s", "dog", "-lrb-", "left", "-rrb-", "is", "n't"],
        [],
        ["c", "d", "e"],
        [],
        ["4\u00a01/2", "cups"],
    ]
