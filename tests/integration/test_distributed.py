"""Two processes (gloo, CPU) train what one process trains: the same batches, the same loss, the same weights.

Two of the recipes always run, all of them with ``make faults``.
"""

import json
import os
import subprocess
import sys
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
}
EVERY = [*((recipe, "ddp") for recipe in RECIPES), ("plain", "fsdp"), ("accumulated", "fsdp"), ("augmented", "fsdp")]
FEW = [("accumulated", "ddp"), ("plain", "fsdp")]
ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"


def train(folder, tree, *, processes, strategy="auto", resume=None):
    """Train with real commands and return (run folder, what was printed)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    paths = {**tree["paths"], "runs": str(folder), "data": str(folder / "data")}
    trainer = {**tree["trainer"], "devices": processes, "strategy": strategy}
    config.write_text(json.dumps({**tree, "paths": paths, "trainer": trainer}))
    command = [sys.executable, "-m", "panollava", "train", "--config", str(config)]
    command += ["--resume", resume] if resume else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[:6000]
    return folder / "tiny", done.stderr


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
            made[recipe], _ = train(tmp_path_factory.mktemp("one"), tree_of(recipe), processes=1)
        return made[recipe]

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "strategy"), EVERY if ALL else FEW)
def test_two_processes_match_one(tree_of, one_process, tmp_path, recipe, strategy):
    alone = one_process(recipe)
    both, _ = train(tmp_path, tree_of(recipe), processes=2, strategy=strategy)
    for (name, loss, val), (_, other, other_val) in zip(losses(alone), losses(both), strict=True):
        assert other == pytest.approx(loss, rel=2e-4), name
        assert other_val == pytest.approx(val, rel=2e-4), name
    one, two = weights(alone), weights(both)
    assert one.keys() == two.keys()
    # Attention does not depend on the keys' bias: its gradient is rounding alone, which AdamW scales to a whole step.
    told = [name for name in one if not name.endswith("k_proj.bias")]
    far = {name: float((one[name] - two[name]).norm() / one[name].norm().clamp(min=1e-6)) for name in told}
    assert max(far.values()) < 5e-3, sorted(far.items(), key=lambda item: -item[1])[:5]


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
