import csv
import json

import pytest

from panollava.cli.program import main

TEXT = """image_path,original_query,prediction,reference
a.jpg,what?,A red sofa near the window,There is a red couch by the window
a.jpg,what?,A red sofa near the window,A room with a red sofa
b.jpg,behind?,,A wooden door
"""


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_prints_one_line_a_metric_with_six_decimals_and_writes_json_and_csv(predictions, tmp_path, capsys):
    out_json, out_csv = tmp_path / "new" / "o.json", tmp_path / "o.csv"
    assert main(["score", str(predictions), "--json", str(out_json), "--csv", str(out_csv)]) == 0
    printed = capsys.readouterr().out
    report = json.loads(out_json.read_text(encoding="utf-8"))
    assert (report["protocol"], report["items"], report["rows"], report["empty_predictions"]) == (
        "grouped",
        2,
        3,
        1,
    )
    lines = {line.split()[1]: line for line in printed.splitlines() if len(line.split()) == 5}
    for label, name, code in [
        ("BLEU-4", "bleu4", "sacrebleu"),
        ("METEOR", "meteor", "NLTK"),
        ("CIDEr", "cider", "pyc"),
    ]:
        assert f"{report['metrics'][name]['value']:.6f}  {code}" in lines[label]
    assert "missing  pycocoevalcap" in lines["SPICE"]
    with out_csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rows"], row["image_path"], row["references"]) for row in rows] == [
        ("2 3", "a.jpg", "2"),
        ("4", "b.jpg", "1"),
    ]
    assert sum(float(row["cider"]) for row in rows) / 2 == report["metrics"]["cider"]["value"]
    assert "spice" not in rows[0] and "bleu4" not in rows[0]
    assert report["metrics"]["spice"]["value"] is None and report["metrics"]["spice"]["reason"]
    assert "no intervals: 2 images, at least 10 are needed" in printed


def test_protocol_rows(predictions, tmp_path):
    out = tmp_path / "o.json"
    assert main(["score", str(predictions), "--protocol", "rows", "--metrics", "rougeL", "--json", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["items"] == 3


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--metrics", "spice"], 1, "SPICE was asked for and cannot run"),
        (["--metrics", "bleu"], 1, "Did you mean 'bleu4'?"),
        (["--tokenizer", "korean"], 1, "unknown tokenizer 'korean'"),
        (["--protocol", "both"], 2, "invalid choice: 'both'"),
        (["--json", "/dev/null/x/o.json"], 1, "cannot write /dev/null/x/o.json"),
    ],
)
def test_errors_are_one_message(predictions, capsys, options, status, message):
    assert main(["score", str(predictions), *options]) == status
    assert message in capsys.readouterr().err
