"""Two processes (gloo, CPU) train what one process trains: the same batches, the same loss, the same weights.

A run that is killed goes on with another number of them. A part of the cases always runs, all with ``make faults``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
STEPS = [f"stages.{name}.max_steps=3" for name in ("vision", "resampler", "finetune")]
RECIPES = {
    # three panoramas a batch: one process has two of them, the other one; the last batch of an epoch has fewer
    "plain": [f"stages.{name}.batch_size=3" for name in ("vision", "resampler", "finetune")],
    "accumulated": [
        *(f"stages.{name}.batch_size=1" for name in ("vision", "resampler", "finetune")),  # one process is idle
        *(f"stages.{name}.accumulation=2" for name in ("vision", "resampler", "finetune")),
        "stages.vision.batch_size=2",
    ],
    "packed": ["stages.resampler.tokens_per_batch=700", "stages.finetune.tokens_per_batch=700"],
    "contrast": ["stages.vision.overlap.loss=infonce", "stages.vision.overlap.max_negatives=50"],
    "pairwise": ["stages.vision.overlap.loss=vicreg_pairwise", "stages.vision.batch_size=3"],
    "augmented": ["data.augment.yaw=any", "data.augment.mirror=0.5"],
    "recomputed": ["trainer.gradient_checkpointing=true"],
}
EVERY = [
    *((recipe, "ddp") for recipe in RECIPES),
    *((recipe, "fsdp") for recipe in ("plain", "accumulated", "contrast", "augmented", "recomputed")),
]
FEW = [("accumulated", "ddp"), ("plain", "fsdp")]
ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"


def command(folder, tree, *, processes, strategy="auto"):
    """Write the configuration and return (the command that trains it, its environment)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    paths = {**tree["paths"], "runs": str(folder), "data": str(folder / "data")}
    trainer = {**tree["trainer"], "devices": processes, "strategy": strategy}
    config.write_text(json.dumps({**tree, "paths": paths, "trainer": trainer}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return [sys.executable, "-m", "panollava", "train", "--config", str(config), "--resume", "auto"], environment


def train(folder, tree, *, processes, strategy="auto"):
    """Train with the real command, from wherever the run is, and return its folder."""
    words, environment = command(folder, tree, processes=processes, strategy=strategy)
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[:6000]
    return folder / "tiny"


def kill_after(checkpoint, folder, tree, *, processes, strategy):
    """Train until a checkpoint is there, and kill every process of the run."""
    words, environment = command(folder, tree, processes=processes, strategy=strategy)
    with (folder / "log.txt").open("w") as log:
        run = subprocess.Popen(words, stdout=log, stderr=log, env=environment)
    while not checkpoint.is_dir():
        assert run.poll() is None, (folder / "log.txt").read_text()[:6000]
        time.sleep(0.005)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    for pid in (run.pid, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.wait()


def weights(run_dir):
    files = sorted((run_dir / "finetune" / "last").glob("*.safetensors"))
    return {f"{f.stem}.{k}": v for f in files if f.stem != "training" for k, v in load_file(f).items()}


def losses(run_dir):
    return [(s["name"], s["final_loss"], s["val_loss"]) for s in json.loads((run_dir / "stages.json").read_text())]


@pytest.fixture(scope="module")
def tree_of(tiny_tree):
    from panollava.config import build_config, to_dict

    def make(recipe):
        settings = [*STEPS, *RECIPES[recipe], "trainer.loggers=[csv]", "trainer.gradient_clip=0.5"]
        return to_dict(build_config(tiny_tree(), overrides=settings, origin="test"))

    return make


@pytest.fixture(scope="module")
def one_process(tree_of, tmp_path_factory):
    """Return a maker of runs in one process, once for each recipe."""
    made = {}

    def make(recipe):
        if recipe not in made:
            made[recipe] = train(tmp_path_factory.mktemp("one"), tree_of(recipe), processes=1)
        return made[recipe]

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "strategy"), EVERY if ALL else FEW)
def test_two_processes_match_one(tree_of, one_process, assert_same_weights, tmp_path, recipe, strategy):
    alone = one_process(recipe)
    both = train(tmp_path, tree_of(recipe), processes=2, strategy=strategy)
    for (name, loss, val), (_, other, other_val) in zip(losses(alone), losses(both), strict=True):
        assert other == pytest.approx(loss, rel=2e-4), name
        assert other_val == pytest.approx(val, rel=2e-4), name
    assert_same_weights(weights(alone), weights(both))


CHANGES = [(("ddp", 2), ("auto", 1)), (("auto", 1), ("fsdp", 2)), (("fsdp", 2), ("fsdp", 2))]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), CHANGES if ALL else CHANGES[1:2])
def test_a_killed_run_goes_on_with_another_number_of_processes(tree_of, assert_same_weights, tmp_path, before, after):
    tree = tree_of("plain")
    tree["stages"][-1]["max_steps"], tree["trainer"]["save_every"] = 8, 2
    tree["trainer"]["ema_decay"] = 0.5
    alone = train(tmp_path / "alone", tree, processes=1)
    folder = tmp_path / "changed"
    middle = folder / "tiny" / "finetune" / "step-000002"
    kill_after(middle, folder, tree, strategy=before[0], processes=before[1])
    assert not (folder / "tiny" / "finetune" / "last").exists()
    changed = train(folder, tree, strategy=after[0], processes=after[1])
    assert_same_weights(weights(alone), weights(changed))


@pytest.mark.slow
def test_the_slurm_script_trains(tree_of, one_process, tmp_path):
    """The script as it is, with stand-ins for what only a cluster has: two processes on one machine."""
    stand_ins = {"srun": 'exec "$@"', "scontrol": "echo localhost"}
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    tree = tree_of("plain")
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({**tree, "paths": {**tree["paths"], "runs": str(tmp_path)}}))
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "one", "SLURM_NNODES": "1",
        "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_GPUS_ON_NODE": "2",
    }  # fmt: skip
    command = ["bash", str(ROOT / "scripts" / "train.sbatch"), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[:6000]
    alone = {name: loss for name, loss, _ in losses(one_process("plain"))}
    assert {name: pytest.approx(loss, rel=2e-4) for name, loss, _ in losses(tmp_path / "tiny")} == alone
