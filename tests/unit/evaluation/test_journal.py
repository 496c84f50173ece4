"""What was written is found again whole, and only under the header it was written under."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.errors import DataError
from panollava.evaluation.journal import Journal

HEADER = {"checkpoint": "a", "test": "b", "seed": None}
ROWS = [{"sample": i, "prediction": f"r\u00e9ponse {i}\n\ud800", "nll": 1 / (i + 3), "tokens": 2} for i in range(5)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "predictions.partial.jsonl"


def written(path, rows=ROWS, header=HEADER):
    with Journal(path, header=header) as journal:
        journal.append(rows[:2])
        journal.append(rows[2:])
    return path


def test_rows_are_found_again_bit_for_bit(path):
    written(path)
    with Journal(path, header=dict(reversed(HEADER.items()))) as journal:
        assert journal.rows == ROWS
        journal.append([{"sample": 9}])
    with Journal(path, header=HEADER) as journal:
        assert journal.rows == [*ROWS, {"sample": 9}]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_file_torn_anywhere_keeps_its_whole_rows_and_goes_on(tmp_path_factory, data):
    path = written(tmp_path_factory.mktemp("torn") / "j.jsonl")
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = max(0, content[:cut].count(b"\n") - 1)
    with Journal(path, header=HEADER) as journal:
        assert journal.rows == ROWS[:whole]
        journal.append(ROWS[whole:])
    assert path.read_bytes() == content


def test_after_a_damaged_row_nothing_is_taken(path, caplog):
    lines = written(path).read_bytes().split(b"\n")
    lines[3] = b'{"sample": 2, "pre' + b"\0" * 20
    path.write_bytes(b"\n".join(lines))
    with caplog.at_level(logging.INFO), Journal(path, header=HEADER) as journal:
        assert journal.rows == ROWS[:2]
    assert "dropped what follows row 2" in caplog.text
    assert path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("change", [{"checkpoint": "z"}, {"seed": 1}, {"more": 1}, {"format": 2}])
def test_another_header_begins_anew_and_says_what_differs(path, caplog, change):
    written(path)
    with caplog.at_level(logging.INFO), Journal(path, header={**HEADER, **change}) as journal:
        assert journal.rows == []
    assert f"({next(iter(change))} differs); answering anew" in caplog.text
    assert len(path.read_text().splitlines()) == 1


def test_nothing_is_kept_where_that_is_asked_for(path):
    with Journal(written(path), header=HEADER, keep=False) as journal:
        assert journal.rows == []
    assert [json.loads(line)["test"] for line in path.read_text().splitlines()] == ["b"]


def test_two_processes_do_not_write_one_file(path):
    with Journal(path, header=HEADER), pytest.raises(DataError, match="another process writes it"):
        Journal(path, header=HEADER)


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/j\.jsonl: the answers cannot be written"):
        Journal(tmp_path / "file" / "j.jsonl", header=HEADER)


def test_a_removed_journal_is_gone_closed_or_not(path):
    journal = Journal(path, header=HEADER)
    journal.remove()
    assert not path.exists()
    with Journal(path, header=HEADER) as journal:
        pass
    journal.remove()
    assert not path.exists()
