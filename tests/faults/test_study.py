"""A study that is killed on the way, or run by another executor, ends with the table of one that nothing disturbed.

Every run is a process that imports torch, so the quick form has four runs and one kill; ``PANOLLAVA_FAULTS=all`` runs a
grid of 2 x 3 with 3 seeds under every disturbance.
"""

import contextlib
import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
POSITIONS = ["ray", "none", "sinusoid"] if ALL else ["ray", "none"]
SEEDS = [0, 1, 2] if ALL else [0]
PARTS = ("time", "seconds", "memory", "tokens_per_s", "created")
"""Of the names of columns that differ between two machines, or two moments of one."""

pytestmark = pytest.mark.slow
thorough = pytest.mark.skipif(not ALL, reason="one of these is enough unless PANOLLAVA_FAULTS=all")


class StudyRun:
    """A study in a folder of its own, run by the command."""

    def __init__(self, folder: Path, tree: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        base = folder / "base.json"
        base.write_text(json.dumps({**tree, "paths": {**tree["paths"], "runs": str(folder / "runs")}}))
        study = {
            "experiment_name": "grid",
            "base": "base.json",
            "grid": {"lora.r": [2, 4], "position.kind": POSITIONS},
            "seeds": SEEDS,
            "shuffled_images": True,
        }
        self.file, self.folder, self.log = folder / "study.yaml", folder / "runs" / "grid", folder / "log.txt"
        self.file.write_text(json.dumps(study))

    def start(self, *words: str, path: str | None = None) -> "subprocess.Popen[bytes]":
        """Start the command."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment.pop("RAY_ADDRESS", None)
        if path is not None:
            environment["PATH"] = f"{path}:{environment['PATH']}"
        command = [sys.executable, "-m", "panollava", "ablate", "--config", str(self.file), *words]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def run(self, *words: str, path: str | None = None) -> int:
        """Run the command to its end."""
        return self.start(*words, path=path).wait()

    def statuses(self) -> list[str]:
        """Return how every run stands."""
        tree = json.loads((self.folder / "study.json").read_text())
        return [run["status"] for arm in tree["arms"] for run in arm["runs"]]

    def outcome(self) -> dict[str, Any]:
        """Return the table without times and memory, and the predictions of every run."""
        with (self.folder / "ablation.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        table = [{key: value for key, value in row.items() if not any(part in key for part in PARTS)} for row in rows]
        files = sorted((self.folder / "arms").glob("*/*/*predictions.csv"))
        return {"table": table, "answers": {str(f.relative_to(self.folder)): f.read_text() for f in files}}


@pytest.fixture(scope="module")
def make(tiny_tree: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], StudyRun]:
    """Return a maker of studies that are equal but for their folder."""
    tree = tiny_tree()
    tree["experiment"]["blind_baseline"] = True
    tree["position"] = {}  # each kind at its defaults: not all have what the tiny one sets
    tree["trainer"] |= {"loggers": ["csv"], "save_every": 1}
    tree["evaluation"] |= {"report": False, "max_samples": None}
    tree["data"]["synthetic"] |= {"count": 40}
    root, count = tmp_path_factory.mktemp("studies"), iter(range(100))
    return lambda: StudyRun(root / f"{next(count):02d}", tree)


@pytest.fixture(scope="module")
def undisturbed(make: Callable[[], StudyRun]) -> dict[str, Any]:
    """Return the outcome of a study that nothing disturbs."""
    study = make()
    assert study.run("--jobs", "2") == 0, study.log.read_text()[-3000:]
    outcome = study.outcome()
    assert len(outcome["table"]) == 2 * len(POSITIONS)
    assert len(outcome["answers"]) == 3 * 2 * len(POSITIONS) * len(SEEDS)  # with images, blind, shuffled
    return outcome


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    try:
        words = [
            word for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
        ]
    except OSError:  # it has ended
        return []
    found = [int(word) for word in words]
    return found + [other for child in found for other in descendants(child)]


def kill_all(process: "subprocess.Popen[bytes]") -> int:
    """Kill a process and everything that it started, as a power cut would; return how many that was."""
    pids = [process.pid, *descendants(process.pid)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    return len(pids)


@pytest.mark.parametrize("moment", [pytest.param("stage", marks=thorough), "run"])
def test_a_study_that_is_killed_goes_on(make, undisturbed, moment, record_property):
    study = make()
    process = study.start("--jobs", "2")
    until = time.monotonic() + 600
    while time.monotonic() < until and process.poll() is None:
        stages = list(study.folder.glob("stages/*/vision/last"))  # a shared stage is half done
        if (moment == "stage" and stages) or (moment == "run" and list(study.folder.glob("arms/*/*/arm.json"))):
            break
        time.sleep(0.02)
    assert kill_all(process) > 1
    done = {path: path.stat().st_mtime_ns for path in study.folder.glob("arms/*/*/arm.json")}
    assert (not done) if moment == "stage" else (0 < len(done) < 2 * len(POSITIONS) * len(SEEDS))
    record_property("SIGKILL of a study and its runs", 1)
    assert study.run("--jobs", "2") == 0, study.log.read_text()[-3000:]
    assert study.outcome() == undisturbed
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was done was not done again


@thorough
def test_runs_stop_with_a_checkpoint_when_the_study_is_gone(make, undisturbed, record_property):
    study = make()
    process = study.start()
    while process.poll() is None and not list(study.folder.glob("stages/*/*/step-*")):
        time.sleep(0.02)
    children = descendants(process.pid)
    process.kill()
    process.wait()
    record_property("SIGKILL of a study, not of its runs", 1)
    until = time.monotonic() + 120
    while any(Path(f"/proc/{pid}/stat").exists() and _alive(pid) for pid in children):
        assert time.monotonic() < until, "a run outlived its study"
        time.sleep(0.1)
    assert study.run("--jobs", "2") == 0, study.log.read_text()[-3000:]
    assert study.outcome() == undisturbed


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    return False


@thorough
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
def test_two_workers_of_ray_come_to_the_same_table(make, undisturbed):
    study = make()
    assert study.run("--executor", "ray", "--jobs", "2") == 0, study.log.read_text()[-3000:]
    assert study.outcome() == undisturbed


@thorough
def test_an_array_of_slurm_comes_to_the_same_table(make, undisturbed, tmp_path):
    (tmp_path / "sbatch").write_text(
        "#!/bin/bash\n"
        'script="${@: -1}"\n'
        "last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' \"$script\")\n"
        'if [ -z "$last" ]; then bash "$script" >&2; else\n'
        '  for n in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$n bash "$script" >&2; done\n'
        "fi\n"
        "echo 42\n"
    )
    (tmp_path / "sbatch").chmod(0o755)
    study = make()
    assert study.run("--executor", "slurm", path=str(tmp_path)) == 0, study.log.read_text()[-3000:]
    assert study.outcome() == undisturbed


@thorough
def test_a_run_that_dies_is_told_and_the_others_go_on(make, undisturbed, record_property):
    study = make()
    process = study.start()
    while process.poll() is None and not (runs := descendants(process.pid)):
        time.sleep(0.02)
    os.kill(runs[0], signal.SIGKILL)
    record_property("SIGKILL of one run", 1)
    assert process.wait() == 1
    assert study.statuses() == ["failed"] + ["done"] * (2 * len(POSITIONS) * len(SEEDS) - 1)
    tree = json.loads((study.folder / "study.json").read_text())
    assert tree["arms"][0]["runs"][0]["error"].startswith("killed by SIGKILL")
    assert study.run() == 0
    assert study.outcome() == undisturbed
