"""A study whose runs take two devices comes to the weights of one whose runs take one, and stops as it does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from panollava.ablation.standing import result
from panollava.ablation.study import load_study
from panollava.ablation.task import write_tasks

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "panollava", "ablate"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@pytest.fixture(scope="module")
def make(tiny_tree, tmp_path_factory):
    """Return a writer of studies of two arms that share a stage, by the devices of a run."""

    def write(devices, **trainer):
        folder = tmp_path_factory.mktemp("devices")
        tree = tiny_tree(runs=folder / "runs")
        tree["experiment"]["blind_baseline"] = True
        tree["trainer"] |= {"devices": devices, "accelerator": "cpu", "loggers": ["csv"], **trainer}
        tree["evaluation"] |= {"report": False, "max_samples": None}
        (folder / "base.json").write_text(json.dumps(tree))
        (folder / "study.yaml").write_text("{experiment_name: s, base: base.json, grid: {lora.r: [2, 4]}}")
        return folder / "study.yaml"

    return write


def weights(study):
    files = [f for run in study.runs for f in run.folder.glob("**/finetune/last/*.safetensors")]
    states = {str(f.relative_to(study.folder)): load_file(f) for f in files if f.name != "training.safetensors"}
    return {f"{file}/{name}": value for file, state in states.items() for name, value in state.items()}


def test_two_devices_for_each_run_come_to_what_one_comes_to(make, assert_same_weights):
    studies = []
    for devices in (1, 2):
        path = make(devices)
        done = subprocess.run([*COMMAND, "--config", str(path)], env=ENVIRONMENT, capture_output=True, text=True)
        studies.append(load_study(path))
        logs = "".join(run.folder.joinpath("arm.log").read_text() for run in studies[-1].runs)
        assert done.returncode == 0, done.stderr[-2000:] + logs[-3000:]
        assert ("2 processes share each batch" in logs) is (devices == 2)
    one, two = map(weights, studies)
    assert any("/blind/" in name for name in one)
    assert_same_weights(one, two)
    for run in studies[1].runs:
        assert result(run)["status"] == "done" and result(run)["peak_memory_mb"] > 100


@pytest.mark.parametrize(("sent", "goes_on"), [(signal.SIGUSR1, True), (signal.SIGKILL, False)], ids=["usr1", "kill"])
def test_a_run_on_two_devices_stops_and_goes_on(make, sent, goes_on):
    """A signal for the run reaches the processes that train; one of them that dies is told, with its last words."""
    path = make(2, save_every=1)
    text = path.with_name("base.json").read_text()
    tree = json.loads(text)
    tree["stages"][2]["max_steps"] = 60
    path.with_name("base.json").write_text(json.dumps(tree))
    study = load_study(path)
    file, run = write_tasks(study, runs=list(study.runs))[0], study.runs[0]
    launcher = subprocess.Popen([*COMMAND, "--task", str(file)], env=ENVIRONMENT)
    until = time.monotonic() + 300
    while not list(run.folder.glob("finetune/step-*")):
        assert launcher.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    if sent == signal.SIGKILL:
        os.kill(_workers(launcher.pid)[0], sent)
    else:
        launcher.send_signal(sent)
    assert launcher.wait(timeout=120) == 1
    said = (run.folder / "arm.log").read_text()
    assert ("stopped by SIGUSR1 after step" in said) is goes_on
    assert result(run).get("status") == (None if goes_on else "failed")
    assert subprocess.run([*COMMAND, "--task", str(file)], env=ENVIRONMENT, check=False).returncode == 0
    assert result(run)["status"] == "done"


def _workers(launcher):
    """Return the processes that train: grandchildren of the launcher."""

    def children(pid):
        found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for words in found for child in words]

    return [pid for inside in children(launcher) for pid in children(inside)]
