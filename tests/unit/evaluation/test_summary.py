"""The tables of the terminal: every score on one line, in 80 columns."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from panollava.errors import DataError
from panollava.evaluation.summary import caption_table, score_table

KIND = {"accuracy": 0.5, "count": 1234, "chance": 0.125}
CAPTIONS = {
    "bleu4": {"value": 0.1834221, "implementation": "sacrebleu", "signature": "s", "higher_is_better": True},
    "spice": {
        "value": None, "implementation": "x", "signature": "", "higher_is_better": False,
        "reason": "needs Java [and models]",
    },
}  # fmt: skip


def metrics(*, blind: bool) -> dict[str, object]:
    model = {"accuracy": 0.5, "by_kind": {"direction8": KIND}, "direction8": None, "captions": CAPTIONS}
    other = {**model, "accuracy": 0.25, "by_kind": {"direction8": {**KIND, "accuracy": 0.125}}}
    return {
        "format": 1, "experiment": "e", "created": "", "checkpoint": "",
        "test": {"panoramas": 50, "questions": 1234}, "model": model, "blind": other if blind else None,
    }  # fmt: skip


def lines(table: Table) -> list[str]:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= 80 for line in text.splitlines())
    return [" ".join(line.split()) for line in text.splitlines()]


def test_accuracy_by_kind_beside_blind_and_chance():
    shown = lines(score_table(metrics(blind=True)))
    assert "all questions 50.0 % 25.0 % +25.0 12.5 % 1,234" in shown
    assert "direction8 50.0 % 12.5 % +37.5 12.5 % 1,234" in shown


def test_without_a_blind_baseline_its_columns_go():
    shown = lines(score_table(metrics(blind=False)))
    assert "direction8 50.0 % 12.5 % 1,234" in shown
    assert not any("blind" in line for line in shown)


def test_an_untrained_baseline_has_the_first_column():
    content = metrics(blind=True)
    content["untrained"] = {**content["blind"], "accuracy": 0.03125, "by_kind": {}}
    shown = lines(score_table(content))
    assert "all questions 3.1 % 50.0 % 25.0 % +25.0 12.5 % 1,234" in shown
    assert any(line.startswith("direction8 ") and "50.0 % 12.5 % +37.5" in line for line in shown)
    assert any("untrained model blind points" in line for line in shown)


def test_text_metrics_one_line_each():
    shown = lines(caption_table(metrics(blind=False)))
    assert "\u2713 BLEU-4 \u2191 0.183422 sacrebleu" in shown
    assert "\u2013 SPICE \u2193 missing needs Java [and models]" in shown


def test_a_missing_key_is_named():
    with pytest.raises(DataError, match="the key 'model' is missing"):
        score_table({**{k: v for k, v in metrics(blind=False).items() if k != "model"}})


def test_questions_that_were_left_out_are_told():
    whole = metrics(blind=False)
    assert not any("left out" in line for line in lines(score_table(whole)))
    cut = {**whole, "test": {"panoramas": 50, "questions": 1234, "skipped": 7}}
    assert "7 questions left out: the image cannot be used" in lines(score_table(cut))
