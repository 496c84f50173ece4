"""Losses and gradients that are not finite: skipped, counted, never in the weights; three in a row end the stage."""

import os
import random

import pytest
import torch

from panollava.checkpoints.format import component_state, load_checkpoint, state_hash
from panollava.errors import TrainingError
from panollava.training import module
from panollava.workflow import ThreeStageTrainer

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
STEPS = 8
SETTINGS = (
    "trainer.save_every=1",
    f"stages.resampler.max_steps={STEPS}",
    "data.augment.yaw=any",
    "trainer.loggers=[csv]",
)
VALUES = (float("nan"), float("inf"), float("-inf"))


class Killed(BaseException):
    """Stands in for SIGKILL."""


def spoil(monkeypatch, bad, *, value, gradient, die_at=None):
    """Let the steps ``bad`` of the plan have a loss (or only a gradient) that is not finite."""
    step = module.StageModule.training_step

    def training_step(self, batch, index):
        if index == die_at:
            raise Killed
        loss = step(self, batch, index) if index not in bad or gradient else None
        if index in bad and not gradient:
            whole = module.StageModule.step

            def broken(self, batch, *, idle=False):
                result = whole(self, batch, idle=idle)
                return type(result)(result.loss * value, result.logs, result.weight)

            with monkeypatch.context() as inside:
                inside.setattr(module.StageModule, "step", broken)
                return step(self, batch, index)
        if index in bad:
            loss.register_hook(lambda g: g * value)
        return loss

    monkeypatch.setattr(module.StageModule, "training_step", training_step)


def weights_of(checkpoint):
    model, _ = load_checkpoint(checkpoint)
    state = component_state(model)
    assert all(bool(torch.isfinite(w).all()) for part in state.values() for w in part.values())
    return {name: state_hash(part) for name, part in state.items()}


@pytest.mark.parametrize("number", range(50 if ALL else 5))
def test_bad_steps_are_skipped_and_resume_is_exact(tiny_config, tmp_path, monkeypatch, number, record_property):
    draw = random.Random(number)
    bad = sorted(draw.sample(range(STEPS), draw.choice((1, 2))))
    value, gradient = draw.choice(VALUES), number % 2 == 1
    found = []
    for name, die_at in (("whole", None), ("killed", draw.randrange(1, STEPS))):
        cfg = tiny_config(*SETTINGS, runs=tmp_path / name)
        with monkeypatch.context() as patch:
            spoil(patch, bad, value=value, gradient=gradient, die_at=die_at)
            if die_at is not None:
                with pytest.raises(Killed):
                    ThreeStageTrainer(cfg).run(stages=["resampler"], resume="auto")
        with monkeypatch.context() as patch:
            spoil(patch, bad, value=value, gradient=gradient)
            trainer = ThreeStageTrainer(cfg)
            last = trainer.run(stages=["resampler"], resume="auto")
        [outcome] = trainer.outcomes
        assert outcome.skipped_steps == len(bad) and outcome.steps == STEPS
        found.append(weights_of(tmp_path / name / "tiny" / "resampler" / "last"))
        assert last.endswith("last")
    assert found[0] == found[1]
    record_property("steps that were not finite", len(bad))


def test_three_in_a_row_end_the_stage_across_a_resume(tiny_config, tmp_path, monkeypatch):
    cfg = tiny_config(*SETTINGS, runs=tmp_path)
    with monkeypatch.context() as patch:
        spoil(patch, (3, 4, 5), value=VALUES[0], gradient=False, die_at=5)
        with pytest.raises(Killed):
            ThreeStageTrainer(cfg).run(stages=["resampler"], resume="auto")
    spoil(monkeypatch, (3, 4, 5), value=VALUES[0], gradient=False)
    with pytest.raises(TrainingError, match=r"Steps in a row that were not finite: 3\n  step \d: batch 3: .*rows"):
        ThreeStageTrainer(cfg).run(stages=["resampler"], resume="auto")
