"""SIGKILL at any moment: the resumed run ends with the weights of one that nothing stopped."""

import os
import random

import pytest

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
STEPS = [f"stages.{name}.max_steps=6" for name in ("vision", "resampler", "finetune")]
RECIPES = {
    "plain": (*STEPS,),
    "workers": (*STEPS, "data.workers=2"),
    "accumulation": (*STEPS, *(f"stages.{name}.accumulation=2" for name in ("vision", "resampler", "finetune"))),
    "features": (*STEPS, "data.augment.yaw=stride", "data.augment.mirror=0", "data.augment.roll_jitter_deg=0"),
    "average": (*STEPS, "trainer.ema_decay=0.9"),
}
NAMES = tuple(RECIPES)


@pytest.mark.parametrize("number", range(70 if ALL else 5))
def test_a_run_killed_at_a_random_time(training_run, undisturbed, number, record_property):
    recipe = RECIPES[NAMES[number % len(NAMES)]]
    wanted, seconds = undisturbed(*recipe)
    draw = random.Random(number)
    run, kills = training_run(*recipe), 0
    for _ in range(draw.choice((1, 2, 3))):
        kills += run.killed_after(draw.uniform(0, seconds)) == -9
    record_property("SIGKILL at a random time", kills)
    run.finish()
    assert run.weights() == wanted


@pytest.mark.parametrize("number", range(40 if ALL else 5))
def test_a_run_killed_inside_a_save(training_run, undisturbed, number, record_property):
    recipe = RECIPES[NAMES[number % len(NAMES)]]
    wanted, _ = undisturbed(*recipe)
    draw = random.Random(1000 + number)
    run = training_run(*recipe)
    killed = [run.go(die_at=draw.randrange(0, 160)) for _ in range(2)]
    assert -9 in killed
    record_property("SIGKILL inside a save", killed.count(-9))
    run.finish()
    assert run.weights() == wanted
