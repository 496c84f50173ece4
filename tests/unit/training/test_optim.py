"""One rate per component, counted in optimiser steps."""

import itertools
import math

import pytest
import torch

from panollava.training.freeze import set_trainable
from panollava.training.optim import EXPANDER_LR, build_optimizer, lr_factor

RATES = {"resampler": 1e-3, "projector": 2e-3, "adapter": 3e-4}


@pytest.fixture
def optimizer(tiny_model):
    model = tiny_model(adapter=True)
    set_trainable(model, list(RATES), vision_blocks=0)
    return model, build_optimizer(model, lr=RATES, weight_decay=0.1, extra=torch.nn.Linear(2, 2))


def test_each_parameter_has_its_components_rate_once(optimizer):
    model, built = optimizer
    rate = {id(p): g["lr"] for g in built.param_groups for p in g["params"]}
    assert len(rate) == sum(len(g["params"]) for g in built.param_groups)
    for component, _, parameter in model.component_parameters():
        assert rate.get(id(parameter)) == (RATES[component] if parameter.requires_grad else None)


def test_biases_norms_and_gains_are_not_decayed(optimizer):
    _, built = optimizer
    for group in built.param_groups:
        assert all((p.ndim >= 2) == (group["weight_decay"] == 0.1) for p in group["params"])
    assert {g["weight_decay"] for g in built.param_groups} == {0.0, 0.1}


def test_the_expander_has_a_rate_of_its_own(optimizer):
    _, built = optimizer
    assert {g["lr"] for g in built.param_groups if g["name"].startswith("expander")} == {EXPANDER_LR}


def test_the_rate_rises_then_falls_to_nothing():
    curve = [lr_factor(s, total=20, warmup=4, schedule="cosine") for s in range(21)]
    assert curve[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert curve[12] == pytest.approx(0.5)
    assert curve[20] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(curve[4:]))
    assert all(math.isfinite(x) and 0 <= x <= 1 for x in curve)


def test_a_constant_rate_only_warms_up():
    assert [lr_factor(s, total=9, warmup=2, schedule="constant") for s in (0, 1, 2, 8)] == [0.5, 1.0, 1.0, 1.0]


def test_without_warm_up_the_first_step_has_the_whole_rate():
    assert lr_factor(0, total=1, warmup=0, schedule="cosine") == 1.0
