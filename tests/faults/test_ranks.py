"""One of two processes is killed: both end soon, and the resumed run ends with the weights of an undisturbed one."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
pytestmark = pytest.mark.slow
SETTINGS = [
    "trainer.devices=2", "trainer.strategy=ddp", "trainer.save_every=2", "trainer.loggers=[csv]", "data.val=[]",
    "data.augment.yaw=any", "data.augment.mirror=0.5", "lora.dropout=0.2",
    *(f"stages.{name}.max_steps=10" for name in ("vision", "resampler", "finetune")),
]  # fmt: skip


class Both:
    """A run in two processes."""

    def __init__(self, folder, tree):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log = folder / "tiny", folder / "log.txt"
        config = folder / "config.yaml"
        config.write_text(json.dumps({**tree, "paths": {**tree["paths"], "runs": str(folder)}}))
        self.command = [sys.executable, "-m", "panollava", "train", "--config", str(config), "--resume", "auto"]

    def start(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        log = self.log.open("a")
        return subprocess.Popen(self.command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def finish(self):
        assert self.start().wait(timeout=600) == 0, self.log.read_text()[-3000:]

    def weights(self):
        files = sorted((self.folder / "finetune" / "last").glob("*.safetensors"))
        return {file.name: file.read_bytes() for file in files if file.name != "training.safetensors"}


def workers(launcher):
    """Return the processes that train, by rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    ranked = {}
    for pid in children:
        with contextlib.suppress(OSError):
            facts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            ranked |= {int(f.removeprefix(b"RANK=")): int(pid) for f in facts if f.startswith(b"RANK=")}
    return ranked


@pytest.fixture(scope="module")
def both(tiny_tree, tmp_path_factory):
    from panollava.config import build_config, to_dict

    tree = to_dict(build_config(tiny_tree(), overrides=SETTINGS, origin="test"))
    return lambda: Both(tmp_path_factory.mktemp("both"), tree)


@pytest.fixture(scope="module")
def undisturbed(both):
    run = both()
    run.finish()
    return run.weights()


def test_processes_whose_agent_is_killed_end(both, undisturbed, record_property):
    """Nobody else could end them, and the resumed run works in the same folder."""
    run = both()
    agent = run.start()
    while "stage resampler" not in run.log.read_text():
        assert agent.poll() is None, run.log.read_text()[-3000:]
        time.sleep(0.02)
    alive = workers(agent.pid)
    assert len(alive) == 2
    agent.kill()
    agent.wait()
    record_property("SIGKILL of the agent of two processes", 1)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in alive.values()):
        assert time.monotonic() < until, "a process outlived its agent"
        time.sleep(0.1)
    assert not (run.folder / "finetune" / "last").exists(), "the processes went on to the end"
    run.finish()
    assert run.weights() == undisturbed


@pytest.mark.parametrize("number", range(20 if ALL else 1))
def test_a_killed_process_ends_the_other_and_the_run_goes_on(both, undisturbed, number, record_property):
    draw, run = random.Random(number), both()
    launcher = run.start()
    begun = f"stage {draw.choice(('vision', 'resampler', 'finetune'))}"
    while begun not in run.log.read_text():
        assert launcher.poll() is None, run.log.read_text()[-3000:]
        time.sleep(0.02)
    time.sleep(draw.uniform(0, 0.5))
    alive = workers(launcher.pid)
    if alive:
        os.kill(alive[draw.randrange(2) % len(alive)], signal.SIGKILL)
        record_property("SIGKILL of one of two processes", 1)
    killed = time.monotonic()
    status = launcher.wait(timeout=300)
    took = time.monotonic() - killed
    assert status != 0 or not alive
    assert not [pid for pid in alive.values() if Path(f"/proc/{pid}").exists()], "a process was left behind"
    record_property("seconds until all had ended, at most 30", took <= 30)
    run.finish()
    assert run.weights() == undisturbed
