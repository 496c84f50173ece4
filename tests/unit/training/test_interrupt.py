"""What a stopped run does with its SLURM job, and what its exit status is."""

import os
import signal

import pytest

from panollava.training import interrupt
from panollava.training.interrupt import STATUS, StopSignals, requeue, stopped, was_requeued


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """Put a stand-in on the PATH that notes how it was called."""
    called, program = tmp_path / "called", tmp_path / "scontrol"

    def install(status=0):
        program.write_text(f'#!/bin/sh\necho "$@" >> {called}\necho refused >&2\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return lambda: called.read_text().split("\n")[:-1] if called.is_file() else []

    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return install


def test_a_job_is_put_back_into_the_queue(scontrol, monkeypatch):
    calls = scontrol()
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    assert requeue() and calls() == ["requeue 123"]


def test_of_an_array_the_task_is(scontrol, monkeypatch):
    calls = scontrol()
    monkeypatch.setenv("SLURM_JOB_ID", "125")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "123")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    assert requeue() and calls() == ["requeue 123_4"]


def test_outside_slurm_nothing_is_called(scontrol):
    calls = scontrol()
    assert not requeue() and calls() == []


def test_a_job_with_a_strange_name_is_not_passed_on(scontrol, monkeypatch):
    calls = scontrol()
    monkeypatch.setenv("SLURM_JOB_ID", "1; rm -rf x")
    assert not requeue() and calls() == []


def test_a_refusal_is_told_and_does_not_hide_the_checkpoint(scontrol, monkeypatch, caplog):
    scontrol(status=1)
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    assert not requeue()
    assert "scontrol requeue 123 failed: refused" in caplog.text


def test_a_job_without_scontrol(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    assert not requeue()
    assert "do it with 'scontrol requeue 123'" in caplog.text


@pytest.mark.parametrize(("count", "told"), [(None, False), ("", False), ("0", False), ("2", True)])
def test_a_requeued_job_knows_it(monkeypatch, count, told):
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", count)
    assert was_requeued() is told


@pytest.mark.parametrize("number", STATUS)
def test_the_status_is_the_shells(number):
    stop = stopped(number, stage="finetune", step=3, checkpoint="runs/a/finetune/step-000003")
    assert stop.status == STATUS[number] and "step 3 of stage 'finetune'" in str(stop)


def test_a_signal_that_the_agent_sends_again_is_noted_once(monkeypatch):
    """Where a job is stopped, SLURM signals every process, and torchrun's agent passes its own on."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with StopSignals() as signals:
        signals.install()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM


def test_the_others_wait_until_the_job_is_in_the_queue(monkeypatch):
    """One that ended sooner would have the agent end the lead, and scontrol with it."""
    order = []
    monkeypatch.setattr(interrupt, "requeue", lambda: order.append("requeue"))
    monkeypatch.setattr(interrupt, "barrier", lambda: order.append("barrier"))
    for number in ("0", "1"):
        monkeypatch.setenv("RANK", number)
        stopped(signal.SIGUSR1, stage="finetune", step=1, checkpoint="x")
    assert order == ["requeue", "barrier", "barrier"]
