"""What the fault tests share: runs that can be killed. ``PANOLLAVA_FAULTS=all`` runs every case (make faults)."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many faults were made, and in how many cases all was as it should be."""
    faults: dict[str, list[int]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, count in report.user_properties:
                faults.setdefault(name, [0, 0, 0])
                faults[name][0] += int(count)
                faults[name][1] += outcome == "passed"
                faults[name][2] += 1
    if faults:
        terminalreporter.section("faults")
        for name, (made, good, runs) in sorted(faults.items()):
            terminalreporter.write_line(f"{made:5d}  {name}: {good} of {runs} cases as they should be")


class RunServer:
    """Runs ``panollava`` commands in processes that start at once, and may be killed."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("run_server.py")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        signals: Sequence[tuple[float, int]] = (),
        after: str = "",
        die_at: int | None = None,
    ) -> int:
        """Run a command and return its exit status; send it signals after so many seconds, once it said ``after``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"argv": list(argv), "log": str(log), "die_at": die_at}) + "\n")
        self._process.stdin.flush()
        pid, ended = int(self._process.stdout.readline()), threading.Event()

        def send() -> None:
            while after and not (log.is_file() and after in log.read_text()):
                if ended.wait(0.02):
                    return
            for seconds, number in signals:
                if ended.wait(seconds):
                    return
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

        sender = threading.Thread(target=send)
        sender.start()
        status = int(self._process.stdout.readline())
        ended.set()
        sender.join()
        return status

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@pytest.fixture(scope="session")
def server() -> Iterator[RunServer]:
    """Return a server of runs."""
    running = RunServer()
    yield running
    running.close()


class TrainingRun:
    """One experiment in a folder of its own.

    Attributes:
        folder: The folder of the run.
        log: What its processes printed.
    """

    def __init__(self, server: RunServer, folder: Path, tree: dict[str, Any]) -> None:
        self.server, self.log = server, folder / "log.txt"
        self.folder = folder / "runs" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        config, data = folder / "config.yaml", folder / "data"
        data.mkdir()  # features of its own, for a run may be killed while it encodes
        for made in Path(tree["paths"]["data"]).glob("surroundqa-*"):
            (data / made.name).symlink_to(made)
        config.write_text(json.dumps({**tree, "paths": {"runs": str(folder / "runs"), "data": str(data)}}))
        self.argv = ["train", "--config", str(config), "--resume", "auto"]

    def go(self, *, signals: Sequence[tuple[float, int]] = (), after: str = "", die_at: int | None = None) -> int:
        """Run the command, or go on with it; return its status."""
        return self.server.run(self.argv, log=self.log, signals=signals, after=after, die_at=die_at)

    def killed_after(self, seconds: float) -> int:
        """Run the command and kill it after so many seconds; return its status."""
        return self.go(signals=[(seconds, signal.SIGKILL)])

    def finish(self) -> None:
        """Go on to the end."""
        status = self.go()
        assert status == 0, f"status {status}:\n{self.log.read_text()[-3000:]}"

    def weights(self) -> dict[str, str]:
        """Return the sha256 of every file of weights of the last stage."""
        files = sorted((self.folder / "finetune" / "last").glob("*.safetensors"))
        named = [f for f in files if f.name != "training.safetensors"]
        assert named
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in named}


@pytest.fixture(scope="session")
def training_run(
    server: RunServer,
    tiny_tree: Callable[..., dict[str, Any]],
    panoramas: Callable[[str], list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., TrainingRun]:
    """Return a maker of runs: three stages of some steps, of random augmentation and dropout."""
    from panollava.config import build_config, to_dict

    panoramas("train")  # the data are made once, for all runs
    root = tmp_path_factory.mktemp("fault-runs")
    count = iter(range(10**6))

    def make(*overrides: str) -> TrainingRun:
        stochastic = [
            "data.augment.yaw=any", "data.augment.mirror=0.5", "data.augment.roll_jitter_deg=3", "lora.dropout=0.2",
            "trainer.save_every=2", "trainer.loggers=[csv]", "data.val=[]",
        ]  # fmt: skip
        tree = to_dict(build_config(tiny_tree(), overrides=[*stochastic, *overrides], origin="test"))
        return TrainingRun(server, root / f"{next(count):04d}", tree)

    return make


@pytest.fixture(scope="session")
def undisturbed(training_run: Callable[..., TrainingRun]) -> Callable[..., tuple[dict[str, str], float]]:
    """Return a maker of (weights, seconds) of a run that nothing stops, once for each recipe."""
    made: dict[tuple[str, ...], tuple[dict[str, str], float]] = {}

    def make(*overrides: str) -> tuple[dict[str, str], float]:
        if overrides not in made:
            run, started = training_run(*overrides), time.monotonic()
            run.finish()
            made[overrides] = (run.weights(), time.monotonic() - started)
        return made[overrides]

    return make
