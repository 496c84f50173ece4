"""A run that was stopped anywhere ends as one that was not: the same weights, the same report, bit for bit."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from panollava.checkpoints.format import component_state, load_checkpoint, state_hash
from panollava.errors import ConfigError, Interrupted
from panollava.training import keep, module
from panollava.workflow import ThreeStageTrainer

STEPS = 4
STOCHASTIC = (
    "data.augment.yaw=any", "data.augment.mirror=0.5", "data.augment.roll_jitter_deg=3", "lora.dropout=0.2",
    "trainer.save_every=1",
    *(f"stages.{name}.max_steps={STEPS}" for name in ("vision", "resampler", "finetune")),
)  # fmt: skip
RECIPES = {
    "plain": (),
    "accumulation": tuple(f"stages.{name}.accumulation=2" for name in ("vision", "resampler", "finetune")),
    "average": ("trainer.ema_decay=0.9",),
    "best": ("trainer.val_every=2", "trainer.patience=3"),
    "masked": ("resampler.kind=masked_drop", "resampler.keep=0.5"),
    "packed": ("stages.resampler.tokens_per_batch=400", "stages.finetune.tokens_per_batch=400"),
}


class Killed(BaseException):
    """Stands in for SIGKILL: nobody catches it."""


def final_hash(folder):
    model, _ = load_checkpoint(Path(folder))
    return {name: state_hash(state) for name, state in component_state(model).items()}


@pytest.fixture
def kill_at(monkeypatch):
    """Return a context that kills the training step with the given number, counted over all stages."""
    step = module.StageModule.training_step

    def arm(number):
        seen = iter(range(10**6))

        def fatal(self, batch, index):
            if next(seen) == number:
                raise Killed
            return step(self, batch, index)

        monkeypatch.setattr(module.StageModule, "training_step", fatal)

    yield arm
    monkeypatch.undo()


def run_killed(trainer_of, kill_at, numbers):
    """Run; die at each of the numbers in turn; go on after each, and to the end."""
    for number in numbers:
        kill_at(number)
        with pytest.raises(Killed):
            trainer_of().run(resume="auto")
    kill_at(None)
    trainer = trainer_of()
    return trainer.run(resume="auto"), trainer


@pytest.fixture(scope="module")
def undisturbed(tiny_config, tmp_path_factory):
    """Return a maker of runs that nothing stops, one for each recipe."""
    made = {}

    def make(recipe):
        if recipe not in made:
            runs = tmp_path_factory.mktemp(recipe)
            trainer = ThreeStageTrainer(tiny_config(*STOCHASTIC, *RECIPES[recipe], runs=runs))
            made[recipe] = (final_hash(trainer.run()), trainer)
        return made[recipe]

    return make


@pytest.mark.parametrize(
    ("recipe", "kills"),
    [("plain", (2, 5, 3)), ("accumulation", (3, 12)), ("average", (6, 4)), ("best", (6, 3)), ("masked", (6, 4)),
     ("packed", (5, 5))],
)  # fmt: skip
def test_a_killed_run_goes_on_to_the_same_bits(tiny_config, tmp_path, undisturbed, kill_at, recipe, kills):
    wanted, whole = undisturbed(recipe)
    cfg = tiny_config(*STOCHASTIC, *RECIPES[recipe], runs=tmp_path)
    last, trainer = run_killed(lambda: ThreeStageTrainer(cfg), kill_at, kills)
    assert final_hash(last) == wanted
    differ = {"seconds", "speed", "checkpoint"}
    told = [{k: v for k, v in o.as_dict().items() if k not in differ} for o in trainer.outcomes]
    assert told == [{k: v for k, v in o.as_dict().items() if k not in differ} for o in whole.outcomes]
    names = [o.name for o in trainer.outcomes]
    assert json.loads((trainer.run_dir / "stages.json").read_text())[-1]["name"] == names[-1] == "finetune"
    assert not list(trainer.run_dir.rglob("step-*")), "a complete stage keeps no checkpoint of its middle"


def test_curves_are_those_of_an_undisturbed_run(tiny_config, tmp_path, undisturbed, kill_at):
    _, whole = undisturbed("best")
    cfg = tiny_config(*STOCHASTIC, *RECIPES["best"], runs=tmp_path)
    _, trainer = run_killed(lambda: ThreeStageTrainer(cfg), kill_at, (1, 2, 3))

    def rows(run_dir):
        with (run_dir / "logs" / "vision" / "metrics.csv").open() as stream:
            return [(r["step"], r["train/loss"], r["val/loss"], r["lr"]) for r in csv.DictReader(stream)]

    assert [r for r in rows(trainer.run_dir) if any(r[1:])] == [r for r in rows(whole.run_dir) if any(r[1:])]


def test_a_complete_stage_is_not_run_again(tiny_config, tmp_path, kill_at, caplog):
    cfg = tiny_config(*STOCHASTIC, runs=tmp_path)
    trainer = ThreeStageTrainer(cfg)
    trainer.run(stages=["vision", "resampler"])
    kill_at(0)  # no step may be taken
    again = ThreeStageTrainer(cfg)
    with caplog.at_level("INFO", logger="panollava"):
        again.run(stages=["vision", "resampler"], resume="auto")
    assert "is complete; nothing is left to train" in caplog.text
    assert [o.as_dict() for o in again.outcomes] == [o.as_dict() for o in trainer.outcomes]


def test_a_run_killed_before_it_reported_a_stage_still_reports_it(tiny_config, tmp_path):
    cfg = tiny_config(*STOCHASTIC, runs=tmp_path)
    trainer = ThreeStageTrainer(cfg)
    trainer.run(stages=["vision", "resampler"])
    (trainer.run_dir / "stages.json").write_text("[]")
    again = ThreeStageTrainer(cfg)
    again.run(stages=["vision", "resampler"], resume="auto")
    assert [o.as_dict() for o in again.outcomes] == [o.as_dict() for o in trainer.outcomes]


def test_an_interrupted_run_is_not_overwritten_by_the_same_command(tiny_config, tmp_path, kill_at):
    cfg = tiny_config(*STOCHASTIC, runs=tmp_path)
    kill_at(6)
    with pytest.raises(Killed):
        ThreeStageTrainer(cfg).run()
    with pytest.raises(ConfigError, match=r"interrupted.*resampler/step-000002.*--resume auto.*--resume never"):
        ThreeStageTrainer(cfg).run()
    kill_at(1)
    with pytest.raises(Killed):
        ThreeStageTrainer(cfg).run(resume="never")
    kill_at(None)
    trainer = ThreeStageTrainer(cfg)  # the older run's vision/last is of another run
    trainer.run(stages=["vision"], resume="auto")
    assert trainer.outcomes[0].steps == STEPS


def test_other_settings_are_named_and_harmless_ones_are_not(tiny_config, tmp_path, kill_at):
    kill_at(6)
    with pytest.raises(Killed):
        ThreeStageTrainer(tiny_config(*STOCHASTIC, runs=tmp_path)).run()
    kill_at(None)
    other = tiny_config(*STOCHASTIC, "views.overlap=0.25", "stages.resampler.lr.projector=5e-3", runs=tmp_path)
    with pytest.raises(ConfigError, match=r"views.overlap: was 0.5, is 0.25\n  stages.resampler.lr.projector: was"):
        ThreeStageTrainer(other).run(resume="auto")
    same = tiny_config(
        *STOCHASTIC, "data.workers=1", "trainer.log_every=3", "stages.finetune.max_steps=1", runs=tmp_path
    )
    trainer = ThreeStageTrainer(same)
    trainer.run(resume="auto")
    assert [o.steps for o in trainer.outcomes] == [STEPS, STEPS, 1]


def test_other_data_are_refused(tiny_config, tmp_path, kill_at):
    cfg = tiny_config(*STOCHASTIC, f"paths.data={tmp_path / 'data'}", runs=tmp_path)
    kill_at(2)
    with pytest.raises(Killed):
        ThreeStageTrainer(cfg).run()
    [manifest] = tmp_path.glob("data/surroundqa-*/train.jsonl")
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[1:]))
    kill_at(None)
    from panollava.errors import CheckpointError

    with pytest.raises(CheckpointError, match=r"step-00000\d was trained on other data"):
        ThreeStageTrainer(cfg).run(resume="auto")


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tiny_config, tmp_path, undisturbed, kill_at, caplog):
    wanted, _ = undisturbed("plain")
    cfg = tiny_config(*STOCHASTIC, runs=tmp_path)
    kill_at(7)
    with pytest.raises(Killed):
        ThreeStageTrainer(cfg).run()
    steps = sorted((tmp_path / "tiny" / "resampler").glob("step-*"))
    assert [s.name for s in steps] == ["step-000002", "step-000003"]
    file = steps[-1] / "training.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    kill_at(None)
    last = ThreeStageTrainer(cfg).run(resume="auto")
    assert "training.safetensors" in caplog.text and "step-000003" in caplog.text
    assert final_hash(last) == wanted


def test_a_signal_writes_a_checkpoint_and_gives_its_status(tiny_config, tmp_path, undisturbed, monkeypatch):
    import os
    import signal

    wanted, _ = undisturbed("plain")
    cfg = tiny_config(*STOCHASTIC, "trainer.save_every=null", runs=tmp_path)
    seen, step = iter(range(99)), module.StageModule.training_step

    def signalled(self, batch, index):
        if next(seen) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, index)

    monkeypatch.setattr(module.StageModule, "training_step", signalled)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"SIGTERM after step 2 of stage 'vision'.*--resume auto") as stop:
        ThreeStageTrainer(cfg).run()
    assert stop.value.status == 143 and signal.getsignal(signal.SIGTERM) == before
    assert final_hash(ThreeStageTrainer(cfg).run(resume="auto")) == wanted


def test_time_is_a_rhythm_too(tiny_config, tmp_path, kill_at, monkeypatch):
    clock = iter(range(0, 10**9, 45))
    monkeypatch.setattr(keep.time, "monotonic", lambda: float(next(clock)))
    cfg = tiny_config("trainer.save_minutes=1", "stages.vision.max_steps=6", runs=tmp_path)
    kill_at(5)
    with pytest.raises(Killed):
        ThreeStageTrainer(cfg).run(stages=["vision"])
    assert list((tmp_path / "tiny" / "vision").glob("step-*"))
    shutil.rmtree(tmp_path / "tiny")


@pytest.mark.parametrize("moment", ["last step", "validation"])
def test_a_signal_when_no_step_is_left_stops_after_the_stage(tiny_config, tmp_path, undisturbed, monkeypatch, moment):
    import os
    import signal

    wanted, _ = undisturbed("plain")
    cfg = tiny_config(*STOCHASTIC, runs=tmp_path)
    name, last = ("training_step", STEPS - 1) if moment == "last step" else ("validation_step", 0)
    whole = getattr(module.StageModule, name)

    def signalled(self, batch, index):
        if index == last and self.stage.name == "vision":
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, batch, index)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(module.StageModule, name, signalled)
        with pytest.raises(Interrupted, match=rf"SIGTERM after step {STEPS} of stage 'vision'.*vision/last") as stop:
            ThreeStageTrainer(cfg).run()
    assert stop.value.status == 143 and signal.getsignal(signal.SIGTERM) == before
    trainer = ThreeStageTrainer(cfg)
    assert final_hash(trainer.run(resume="auto")) == wanted
    assert [o.name for o in trainer.outcomes] == ["vision", "resampler", "finetune"]
