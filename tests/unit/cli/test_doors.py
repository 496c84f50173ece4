"""The script names of the README, each a door to a verb."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def python(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("script", "usage"),
    [
        ("check_env.py", "usage: panollava check-env"),
        ("select_model.py", "usage: panollava models"),
        ("quick_lora_train.py", "usage: panollava lora"),
        ("lora_ablation_study.py", "usage: panollava ablate"),
        ("scripts/train.py", "usage: panollava train"),
        ("scripts/eval.py", "usage: eval.py"),
        ("scripts/test_flash_attention.py", "usage: panollava bench attention"),
        ("setup_dev.py", "usage: setup_dev.py"),
    ],
)
def test_help(script, usage, tmp_path):
    done = python(str(ROOT / script), "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(usage)


def test_select_model_lists():
    assert "Qwen/Qwen2.5-0.5B-Instruct" in python("select_model.py", "--list").stdout


def test_quick_lora_train_as_in_the_readme():
    words = ["--model", "qwen_0.5b", "--lora-r", "16", "--lora-alpha", "32", "--dry-run"]
    done = python("quick_lora_train.py", *words)
    assert done.returncode == 0, done.stderr
    assert "name: lora_qwen_0.5b_r16_a32" in done.stdout


@pytest.fixture
def choose_verb(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("scripts_eval", ROOT / "scripts" / "eval.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.choose_verb


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["--csv-input", "p.csv"], ["score", "p.csv"]),
        (["--csv-input", "p.csv", "--json"], ["score", "p.csv", "--json"]),
        (["--csv-input", "a.csv", "b.csv", "--compare"], ["score", "a.csv", "b.csv", "--compare"]),
        (
            ["--checkpoint-dir", "d", "--csv-input", "t.csv"],
            ["eval", "--checkpoint-dir", "d", "--csv-input", "t.csv"],
        ),
        (
            ["--checkpoint-dir", "d", "--config", "c.yaml", "lora.r=2"],
            ["eval", "--checkpoint-dir", "d", "--config", "c.yaml", "lora.r=2"],
        ),
        (["--config", "c.yaml", "lora.r=2"], ["run", "--config", "c.yaml", "lora.r=2"]),
    ],
)
def test_eval_chooses_by_what_is_given(choose_verb, words, verb):
    assert choose_verb(words) == verb


def test_eval_scores_a_file_of_predictions(tmp_path):
    (tmp_path / "p.csv").write_text("prediction,reference\na red chair,a chair\n")
    done = python(str(ROOT / "scripts" / "eval.py"), "--csv-input", "p.csv", "--metrics", "rougeL", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0.800000" in done.stdout and "protocol rows" in done.stdout


@pytest.mark.parametrize("words", [[], ["--config", "c.yaml", "--csv-input", "p.csv"]])
def test_eval_without_a_choice_is_wrong_usage(choose_verb, words, capsys):
    with pytest.raises(SystemExit) as stop:
        choose_verb(words)
    assert stop.value.code == 2
    assert "give --csv-input FILE" in capsys.readouterr().err


def test_a_door_without_panollava_says_what_to_run(tmp_path):
    """A copy of the doors beside no .venv, with a Python that cannot see panollava."""
    (tmp_path / "scripts").mkdir()
    for name in ("check_env.py", "scripts/door.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    done = python("-S", str(tmp_path / "check_env.py"), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: panollava is not installed. Run: python setup_dev.py\n"
