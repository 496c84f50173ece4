"""AutoBatch: the same step in the largest batches that fit."""

import re

import pytest
import torch

from panollava.errors import TrainingError
from panollava.models.build import build_model
from panollava.training import stages
from panollava.training.auto_batch import fits_budget, kept_bytes, largest_batch, longest
from panollava.training.stages import run_stage


@pytest.mark.parametrize(("total", "limit", "found"), [(24, 7, 6), (24, 100, 24), (7, 6, 1), (12, 5, 4)])
def test_the_largest_divisor_that_fits_is_taken(total, limit, found):
    asked = []

    def fits(size):
        asked.append(size)
        return size <= limit

    assert largest_batch(total, fits=fits) == found
    assert asked == sorted(asked, reverse=True) and asked[-1] == found


def test_that_nothing_fits_is_said():
    with pytest.raises(TrainingError, match=r"not even one panorama fits.*trainer.memory_gb"):
        largest_batch(8, fits=lambda _: False)


def test_what_autograd_keeps_is_counted_once_and_without_the_weights():
    weight = torch.randn(50, 30, requires_grad=True)
    x = torch.randn(200, 50, requires_grad=True)
    bytes_ = kept_bytes(lambda: (x @ weight).exp().sum(), without=[weight])
    assert bytes_ == 4 * (200 * 50 + 200 * 30)  # the input of the product, the result of the exponential
    assert kept_bytes(lambda: (x @ weight).exp().sum()) == bytes_ + 4 * 50 * 30


def test_a_budget_is_shared_by_state_and_batches():
    weight = torch.randn(100, 100, requires_grad=True)

    def step(size):
        return (torch.ones(100 * size, 100) @ weight).exp().sum()

    state, each = 3 * 4 * 100 * 100, 1.25 * 4 * (100 * 100 + 100 * 100)
    budget = state + 5.5 * each
    fits = fits_budget(step, parameters=[weight], budget_gb=budget / 2**30)
    assert [fits(n) for n in (1, 5, 6)] == [True, True, False]


def test_the_panoramas_with_the_most_text_are_tried(panoramas):
    train = panoramas("train")
    chosen = longest(train, count=3)
    size = [sum(len(s.query) + len(s.answer) for s in p.samples) for p in train]
    assert [size[i] for i in chosen] == sorted(size, reverse=True)[:3]
    assert len(longest(train[:2], count=5)) == 5


@pytest.mark.parametrize("name", ["vision", "resampler"])
def test_a_stage_is_split_to_fit_and_has_as_many_steps(tiny_config, panoramas, tmp_path, caplog, name):
    def run(*more):
        cfg = tiny_config(f"stages.{name}.batch_size=4", *more)
        model = build_model(cfg)
        return run_stage(model, cfg.stage(name), cfg, train=panoramas("train"), val=(), run_dir=tmp_path, trained=set())

    with caplog.at_level("INFO", logger="panollava"):
        roomy = run("trainer.auto_batch=true", "trainer.memory_gb=64")
    each = float(re.search(r"([\d.]+) MB for each panorama", caplog.text)[1]) / 1024
    state = 12 * sum(roomy.trainable.values()) / 2**30
    small = f"trainer.memory_gb={state + 2.9 * each}"
    outcome = run("trainer.auto_batch=true", small)
    assert (roomy.batch_size, outcome.batch_size) == (4, 2)
    assert (roomy.steps, outcome.steps) == (2, 2) and outcome.final_loss == pytest.approx(roomy.final_loss, rel=0.2)
    assert run().batch_size == 4
    with pytest.raises(TrainingError, match="not even one panorama fits"):
        run("trainer.auto_batch=true", "trainer.memory_gb=1e-6")


def test_memory_is_measured_as_it_will_be_used(tiny_config, panoramas, tmp_path, monkeypatch):
    seen = []

    def choose(module, settings, *, batch_of):
        seen.append(any(getattr(m, "gradient_checkpointing", False) and m.training for m in module.model.modules()))
        return 1

    monkeypatch.setattr(stages, "choose_batch", choose)
    for wanted in (True, False):
        cfg = tiny_config("trainer.auto_batch=true", f"trainer.gradient_checkpointing={str(wanted).lower()}")
        run_stage(
            build_model(cfg), cfg.stage("resampler"), cfg,
            train=panoramas("train"), val=(), run_dir=tmp_path / str(wanted), trained=set(),
        )  # fmt: skip
    assert seen == [True, False]
