"""The process of a run: it is told what to do, and its end is noted whatever it was."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from panollava.ablation import task as module
from panollava.ablation.standing import result
from panollava.ablation.study import load_study
from panollava.ablation.task import Task, launch, write_tasks
from panollava.errors import ConfigError, Interrupted
from panollava.training import interrupt
from panollava.training.interrupt import STATUS


@pytest.fixture
def task(write):
    study = load_study(write("{experiment_name: s, base: base.yaml, grid: {lora.r: [4, 8]}, shuffled_images: true}"))
    return write_tasks(study, runs=list(study.runs))[0]


@pytest.fixture
def child(monkeypatch):
    """Let the process of a run be a few lines of Python."""

    real = subprocess.Popen

    def make(code: str) -> None:
        def start(command, **options):
            return real([sys.executable, "-c", code], **options)

        monkeypatch.setattr(module.subprocess, "Popen", start)

    return make


def test_a_task_reads_back(task):
    read = Task.read(task)
    assert read.run.name == "r4 seed 42"
    assert read.shuffled and read.minutes is None
    assert [link.stage for link in read.run.shared] == ["resampler"]
    assert read.run.config.lora.r == 4
    task.write_text("{}")
    with pytest.raises(ConfigError, match="is no task of a study"):
        Task.read(task)


def test_what_a_process_said_last_is_its_error(task, child):
    child("import sys; print('some words'); sys.exit('error: the disk is full')")
    assert launch(task) is False
    run = Task.read(task).run
    assert result(run)["error"] == "the disk is full"
    assert "some words" in (run.folder / "arm.log").read_text()


def test_a_killed_process_is_told_with_its_signal(task, child):
    child("import os, signal; print('step 7', flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    launch(task)
    error = result(Task.read(task).run)["error"]
    assert error == ("killed by SIGKILL, which is what the system does where memory runs out; its last words: step 7")


def test_a_stopped_process_has_not_failed(task, child):
    child("import time; time.sleep(60)")
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    assert launch(task, stop=stop) is False
    assert result(Task.read(task).run) == {}


def test_a_signal_to_the_launcher_reaches_the_run(task, child):
    """SLURM signals the shell of a job, which is the launcher; the run is what can write a checkpoint."""
    child(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: (print('noted', flush=True), sys.exit(75)))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    log = Task.read(task).run.folder / "arm.log"

    def send():
        while not (log.is_file() and "ready" in log.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=send).start()
    assert launch(task) is False
    assert log.read_text().split() == ["ready", "noted"]
    assert result(Task.read(task).run) == {}  # it has not failed
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_time_that_is_over_is_a_failure(task, child):
    child("import time; time.sleep(60)")
    task.write_text(task.read_text().replace('"minutes": null', '"minutes": 0.005'))
    assert launch(task) is False
    assert result(Task.read(task).run)["error"] == "stopped after 0.005 minutes (budget.minutes)"


def test_a_run_ends_when_its_launcher_is_gone(tmp_path):
    code = "from panollava.ablation.task import watch_launcher; watch_launcher(); import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    time.sleep(0.1)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == -15


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_before_the_run_listens_is_no_failure(task, child, number, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "requeue", lambda: asked.append(1))
    child("import time; print('ready', flush=True); time.sleep(60)")
    log = Task.read(task).run.folder / "arm.log"

    def send():
        while not (log.is_file() and "ready" in log.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=send).start()
    assert launch(task) is False
    assert result(Task.read(task).run) == {}
    assert bool(asked) is (number == signal.SIGUSR1)


def test_the_words_of_an_earlier_attempt_are_not_the_error_of_this(task, child):
    child("import sys; sys.exit('error: the disk is full')")
    launch(task)
    child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    launch(task)
    assert "disk" not in result(Task.read(task).run)["error"]


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_stops_a_run_wherever_it_is(number, monkeypatch):
    """While it waits for another run's stage, or answers, no stage listens."""
    asked = []
    monkeypatch.setattr(interrupt, "requeue", lambda: asked.append(1))
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"stopped by {number.name}; run again") as stop, interrupt.stopping():
        os.kill(os.getpid(), number)
        time.sleep(60)
    assert stop.value.status == STATUS[number] and bool(asked) is (number == signal.SIGUSR1)
    assert signal.getsignal(number) == before
