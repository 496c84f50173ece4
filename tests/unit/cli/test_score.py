import csv
import json
import subprocess
import sys

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


def answers(tmp_path, name, *, right):
    """Sixty answers about twenty images; every ``right``-th is right."""
    path = tmp_path / name
    rows = ["image_path,original_query,prediction,reference"]
    for i in range(60):
        truth = f"a red chair of kind {i}"
        rows.append(f"{i // 3}.jpg,q{i % 3},{truth if i % right == 0 else 'a lamp'},{truth}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_intervals_stand_beside_the_values(tmp_path, capsys):
    out = tmp_path / "o.json"
    words = ["score", str(answers(tmp_path, "p.csv", right=2)), "--metrics", "rougeL,bleu4", "--json", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text(encoding="utf-8"))["metrics"]["rougeL"]
    interval = result["interval"]
    assert interval["low"] < result["value"] < interval["high"]
    assert f"{result['value']:.6f}  [{interval['low']:.6f}, {interval['high']:.6f}]  rouge" in printed
    assert "[low, high]: 95% BCa bootstrap over 20 images, 1000 resamples, seed 0" in printed
    assert main([*words, "--resamples", "0"]) == 0
    assert "interval" not in capsys.readouterr().out
    assert main([*words, "--resamples", "200", "--confidence", "0.5", "--seed", "7"]) == 0
    narrow = json.loads(out.read_text(encoding="utf-8"))["metrics"]["rougeL"]["interval"]
    assert narrow["high"] - narrow["low"] < interval["high"] - interval["low"]
    assert (narrow["seed"], narrow["resamples"]) == (7, 200)


def test_two_files_are_compared(tmp_path, capsys):
    first, second = answers(tmp_path, "a.csv", right=3), answers(tmp_path, "b.csv", right=2)
    out_json, out_csv = tmp_path / "o.json", tmp_path / "o.csv"
    words = ["score", str(first), str(second), "--compare", "--metrics", "exact_match,rougeL"]
    assert main([*words, "--json", str(out_json), "--csv", str(out_csv)]) == 0
    printed = capsys.readouterr().out
    assert f"60 items of 20 images, protocol grouped; difference = {second} - {first}" in printed
    found = json.loads(out_json.read_text(encoding="utf-8"))
    each = found["metrics"]["exact_match"]
    assert (each["first"], each["second"]) == (pytest.approx(1 / 3), 0.5)
    assert f"+{each['difference']:.4f}" in printed and f"{each['p_holm']:.4f}" in printed
    assert found["resampling"]["resamples"] == 10_000
    with out_csv.open(encoding="utf-8", newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(rows["rougeL"]["difference"]) == found["metrics"]["rougeL"]["difference"]


def test_what_cannot_be_compared_is_told(tmp_path, capsys):
    first, second = answers(tmp_path, "a.csv", right=3), answers(tmp_path, "b.csv", right=2)
    assert main(["score", str(first), str(second)]) == 1
    assert "To compare the two, add --compare" in capsys.readouterr().err
    assert main(["score", str(first), "--compare"]) == 1
    assert "1 files, but 2 can be scored" in capsys.readouterr().err
    assert main(["score", str(first), str(second), "--compare", "--resamples", "0"]) == 1
    assert "0 resamples say nothing about tails; give at least 100." in capsys.readouterr().err
    second.write_text(second.read_text(encoding="utf-8").replace("19.jpg", "20.jpg"), encoding="utf-8")
    assert main(["score", str(first), str(second), "--compare"]) == 1
    assert "3 of 60 items of the first file are not in the second" in capsys.readouterr().err


def test_a_metric_of_ones_own_joins_the_table(predictions, tmp_path, capsys):
    mine = tmp_path / "mine.py"
    mine.write_text("def words(predictions, references):\n    return [float(len(p.split())) for p in predictions]\n")
    assert main(["score", str(predictions), "--metrics", "rougeL", "--custom", f"words={mine}:words"]) == 0
    printed = capsys.readouterr().out
    assert "3.000000" in printed and f"{mine}:words" in printed
    assert "words: nrefs:var|custom:words|source:sha256-" in printed


def test_perplexity_from_the_columns_of_the_file(tmp_path, capsys):
    path, out = tmp_path / "p.csv", tmp_path / "o.json"
    words = ["score", str(path), "--metrics", "perplexity_corpus,perplexity_per_text", "--json", str(out)]
    path.write_text("prediction,reference,nll,tokens\nx,r,0.6931471805599453,1\ny,s,6.238324625039508,3\n")
    assert main(words) == 0
    found = json.loads(out.read_text(encoding="utf-8"))["metrics"]
    assert found["perplexity_corpus"]["value"] == pytest.approx(2 ** (10 / 4))
    assert found["perplexity_per_text"]["value"] == pytest.approx(5.0)
    for cell, message in [("1.5", "not a whole number from 1"), ("0", "not a whole"), ("many", "not a whole")]:
        path.write_text(f"prediction,reference,nll,tokens\nx,r,0.5,1\ny,s,6.2,{cell}\n")
        assert main(words) == 1
        assert f"row 3, column 'tokens': '{cell}' is {message}" in capsys.readouterr().err
    path.write_text("prediction,reference,nll\nx,r,0.5\n")
    assert main(words) == 1
    assert "perplexity needs the column 'tokens'" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"prediction,reference\n\xff,r\n", b'prediction,reference\n"x,r\n', b"\0", b"a;b\n"])
def test_a_damaged_file_is_one_message_and_no_traceback(tmp_path, capsys, raw):
    path = tmp_path / "p.csv"
    path.write_bytes(raw)
    assert main(["score", str(path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {path}: row ") and "Traceback" not in told and told.count("\n") == 1


def test_scoring_and_comparing_import_no_torch(tmp_path):
    script = (
        "import sys; from panollava.cli.program import main\n"
        "assert main(sys.argv[1:]) == 0; print('torch' in sys.modules, 'cv2' in sys.modules)"
    )
    words = [str(answers(tmp_path, "a.csv", right=3)), str(answers(tmp_path, "b.csv", right=2)), "--compare"]
    for verb in (["score", words[0]], ["score", *words]):
        done = subprocess.run([sys.executable, "-c", script, *verb], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False False"
