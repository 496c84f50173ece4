"""A signal ends a run with its checkpoint and its status; the run then ends with the weights of an undisturbed one."""

import os
import random
import re
import signal
from pathlib import Path

import pytest

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
STEPS = (*(f"stages.{name}.max_steps=40" for name in ("vision", "resampler", "finetune")), "trainer.save_every=null")
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 75}


@pytest.mark.parametrize("number", range(60 if ALL else 3))
def test_a_signal_at_a_random_time(training_run, undisturbed, number, record_property):
    wanted, _ = undisturbed(*STEPS)
    draw, sent = random.Random(number), list(STATUS)[number % 3]
    run = training_run(*STEPS)
    begun = f"stage {draw.choice(('vision', 'resampler', 'finetune'))}"
    status = run.go(after=begun, signals=[(draw.uniform(0.0, 0.6), sent)])
    said = run.log.read_text()
    if f"{sent.name}: finishing the step" in said:
        record_property(f"{sent.name} in a stage", 1)
        assert status == STATUS[sent], f"status {status}\n{said[-2000:]}"
        assert f"stopped by {sent.name} after step" in said and "--resume auto" in said
        [written] = re.findall(r"go on with --resume auto from (\S+)", said)
        assert Path(written).is_dir()  # a step inside a stage, or the stage's end if it came in its last step
    else:  # while a stage is made ready there is nothing to save yet, and the signal ends the process
        assert status in (-sent, 130) and "after step" not in said, f"status {status}\n{said[-2000:]}"
        record_property(f"{sent.name} before a stage", 1)
    assert "Traceback" not in said
    run.finish()
    assert run.weights() == wanted


@pytest.mark.parametrize("sent", STATUS, ids=lambda number: number.name)
def test_a_second_signal_stops_at_once(training_run, sent):
    run = training_run(*STEPS)
    status = run.go(after="stage resampler", signals=[(0.4, sent), (0.0, sent)])
    assert status in (-sent, STATUS[sent])  # the second may come after the checkpoint
