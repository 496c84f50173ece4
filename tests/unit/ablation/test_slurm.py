"""A study as an array job, checked with a stand-in for sbatch that runs the array here."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from panollava.ablation.run import Options, run_study
from panollava.ablation.slurm import array_script, report_script
from panollava.ablation.study import load_study
from panollava.errors import ConfigError, TrainingError

SLURM = """
slurm: {partition: gpu, time: "04:00:00", gpus: 2, memory: 64G, setup: [module load cuda], options: [--account=x]}
"""
SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
home = Path(__file__).parent
words = sys.argv[1:]
with (home / "asked").open("a") as file:
    print(*words, file=file)
text = Path(words[-1]).read_text()
array = re.search(r"--array=(\\d+)-(\\d+)", text)
for n in range(int(array[1]), int(array[2]) + 1) if array else [None]:
    extra = {{}} if n is None else {{"SLURM_ARRAY_TASK_ID": str(n)}}
    subprocess.run(["bash", words[-1]], env={{**os.environ, **extra}})
print(4711)
"""


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Put a stand-in for sbatch on the path; return the file of what it was asked."""
    home = tmp_path / "bin"
    home.mkdir()
    (home / "sbatch").write_text(SBATCH.format(python=sys.executable))
    (home / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    return home / "asked"


def test_the_script_asks_for_what_the_study_says(write, tmp_path):
    study = load_study(write("experiment_name: s\nbase: base.yaml\ngrid: {lora.r: [4, 8]}" + SLURM))
    text = array_script(study, tasks=tmp_path / "runs.txt", count=6, jobs=2)
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines()}
    assert asked >= {"--array=0-5%2", "--partition=gpu", "--time=04:00:00", "--gres=gpu:2", "--mem=64G", "--account=x"}
    assert "\nmodule load cuda\n" in text
    assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0


def test_an_element_has_a_gpu_for_each_device(write, tmp_path):
    study = load_study(
        write("{experiment_name: s, base: base.yaml, grid: {lora.r: [4, 8]}, set: {trainer.devices: 4}}")
    )
    assert "--gres=gpu:4" in array_script(study, tasks=tmp_path / "runs.txt", count=2)


def test_a_folder_with_a_space_stays_one_word(write, tmp_path):
    study, folder = load_study(write()), tmp_path / "of mine"
    for text in (array_script(study, tasks=folder / "runs.txt", count=2), report_script(study, folder=folder)):
        (line,) = [line for line in text.splitlines() if "--output=" in line]
        assert shlex.split(line.removeprefix("#SBATCH "))[0].startswith(f"--output={folder}/")


def test_written_and_not_submitted(write, sbatch, capsys):
    path = write()
    run_study(path, options=Options(executor="slurm", submit=False))
    folder = load_study(path).folder / "slurm"
    assert len(_tasks(folder)) == 8
    assert not sbatch.exists()


def test_each_element_of_the_array_runs_its_own_task(write, sbatch, monkeypatch, tmp_path):
    """Every element names another run, and the job of the outcome comes after the array."""
    stub = tmp_path / "python"
    stub.write_text('#!/bin/bash\necho "$@" >> "$(dirname "$0")/ran"\n')
    stub.chmod(0o755)
    monkeypatch.setattr("panollava.ablation.slurm.sys.executable", str(stub))
    path = write()
    run_study(path, options=Options(executor="slurm"))
    ran = (tmp_path / "ran").read_text().splitlines()
    tasks = _tasks(load_study(path).folder / "slurm")
    assert ran[:-1] == [f"-m panollava ablate --task {task}" for task in tasks]
    assert ran[-1] == f"-m panollava ablate --config {path} --report"
    asked = sbatch.read_text().splitlines()
    assert asked[0].startswith("--parsable ") and asked[0].endswith("/array.sh")
    assert asked[1].startswith("--parsable --dependency=afterany:4711 ")


def test_without_sbatch_the_message_says_what_to_do(write, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match=r"sbatch is not on this machine.*--submit no"):
        run_study(write(), options=Options(executor="slurm"))


def test_a_refused_job_is_told(write, sbatch):
    (sbatch.parent / "sbatch").write_text("#!/bin/bash\necho 'invalid partition' >&2; exit 1\n")
    with pytest.raises(TrainingError, match=r"sbatch refused the job \(invalid partition\)"):
        run_study(write(), options=Options(executor="slurm"))


def test_an_array_in_the_queue_keeps_its_list(write, sbatch, finish):
    """Submitted again with fewer runs, the elements of the first array would read other lines."""
    path = write()
    run_study(path, options=Options(executor="slurm", submit=False))
    folder = load_study(path).folder / "slurm"
    first, script = _tasks(folder), (folder / "array.sh").read_text()
    finish(Path(first[0]))
    run_study(path, options=Options(executor="slurm", submit=False))
    [named] = [line for line in script.splitlines() if line.startswith("TASK=")]
    lists = [file for file in folder.glob("runs-*.txt") if str(file) in named]
    assert lists[0].read_text().splitlines() == first and len(list(folder.glob("runs-*.txt"))) == 2


def _tasks(folder):
    [file] = folder.glob("runs-*.txt")
    return file.read_text().splitlines()
