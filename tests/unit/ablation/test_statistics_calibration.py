"""Simulated studies with known truth, on the designs of benchmarks/study_power.py."""

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from panollava.ablation.statistics import BETTER, compare_arms

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "study_power.py"


@pytest.fixture(scope="module")
def power():
    specification = importlib.util.spec_from_file_location("panollava_study_power", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.mark.parametrize("arms", [3, 10])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("seed_sd", [0.005, 0.03])
def test_arms_that_differ_by_seed_only_are_not_different_in_95_of_100_studies(power, arms, seeds, seed_sd):
    design = power.Design(arms=arms, seeds=seeds, images=100, seed_sd=seed_sd)
    assert power.false_alarms(design, studies=100, tests=["ours"])["ours"] <= 5


def test_the_same_studies_fool_a_test_that_forgets_seeds(power):
    # Otherwise the studies above would show nothing.
    design = power.Design(arms=10, images=200, seed_sd=0.03)
    assert power.false_alarms(design, studies=40, tests=["seeds forgotten"])["seeds forgotten"] > 20


def test_arms_that_suit_other_images_are_not_different_either(power):
    design = power.Design(images=60, suits_sd=0.15, seed_sd=0.01)
    assert power.false_alarms(design, studies=100, tests=["ours"])["ours"] <= 5


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_planted_effect_is_found(power, seeds):
    design = power.Design(seeds=seeds, images=100, seed_sd=0.015, effect=0.15)
    assert power.finds(design, studies=50, tests=["ours"])["ours"] >= 45


def test_the_planted_arm_is_the_one_that_is_found(power):
    figures = power.simulate(power.Design(effect=0.25), np.random.default_rng(0))
    found = compare_arms({f"arm {i}": dict(enumerate(runs)) for i, runs in enumerate(figures)}, baseline="arm 0")
    assert [name for name, contrast in found.items() if contrast.verdict == BETTER] == ["arm 1"]


def test_a_large_study_takes_no_time_to_speak_of(power):
    figures = power.simulate(power.Design(arms=12, seeds=5, images=2000), np.random.default_rng(0))
    arms = {f"arm {i}": dict(enumerate(runs)) for i, runs in enumerate(figures)}
    start = time.process_time()
    compare_arms(arms, baseline="arm 0")
    assert time.process_time() - start < 30  # it takes 0.02 s; no resampling may creep in
