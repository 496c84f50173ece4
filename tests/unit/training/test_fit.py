"""How a stage is run: exact means, steps that are not finite, averages, best and early stopping, execution."""

import math

import pytest
import torch

from panollava.checkpoints.format import load_checkpoint
from panollava.checkpoints.resolve import CheckpointResolver
from panollava.errors import ConfigError, TrainingError
from panollava.models.build import build_model
from panollava.training.execution import compiler
from panollava.training.stages import run_stage

NO_LIMIT = "stages.resampler.questions_per_panorama=null"


def run(cfg, panoramas, folder, *, name="resampler", model=None, val=()):
    model = model or build_model(cfg)
    outcome = run_stage(model, cfg.stage(name), cfg, train=panoramas("train"), val=val, run_dir=folder, trained=set())
    return model, outcome


@pytest.fixture
def gradients(monkeypatch):
    """Return a list that every optimiser step adds its (clipped) gradients to."""
    seen = []
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        def read():
            found = closure()
            named = [(g["name"], i, p.grad) for g in self.param_groups for i, p in enumerate(g["params"])]
            seen.append({(n, i): None if g is None else g.clone() for n, i, g in named})
            return found

        return original(self, read)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return seen


def apart(one, other):
    """Return the largest difference of two gradients, relative to the largest entry."""
    largest = max(float(g.abs().max()) for g in one.values())
    return max(float((one[k] - other[k]).abs().max()) for k in one) / largest


def split(batch, accumulation, *more):
    return (
        "stages.resampler.max_steps=2", f"stages.resampler.batch_size={batch}",
        f"stages.resampler.accumulation={accumulation}", "trainer.gradient_clip=null", NO_LIMIT, *more,
    )  # fmt: skip


def uneven(panoramas):
    """Return panoramas with 1, 2, 3, 4 questions in turn, so that batches differ in their tokens."""
    from dataclasses import replace

    def make(split):
        return [replace(p, samples=p.samples[: 1 + i % 4]) for i, p in enumerate(panoramas(split))]

    return make


@pytest.mark.parametrize(("batch", "accumulation"), [(1, 4), (2, 2)])
def test_accumulation_gives_the_gradient_of_the_whole_batch(
    tiny_config, panoramas, tmp_path, gradients, batch, accumulation
):
    run(tiny_config(*split(4, 1)), uneven(panoramas), tmp_path / "whole")
    run(tiny_config(*split(batch, accumulation)), uneven(panoramas), tmp_path / "parts")
    whole, parts = gradients[0], gradients[2]
    assert len(gradients) == 4 and whole.keys() == parts.keys()
    assert apart(whole, parts) < 1e-6


def test_a_mean_of_means_would_be_another_gradient(tiny_config, panoramas, tmp_path, gradients, monkeypatch):
    """The test above sees what it should: the tokens of the batches do differ."""
    from panollava.training.module import StageModule

    original = StageModule.step

    def as_one(self, batch, *, idle=False):
        result = original(self, batch)
        return type(result)(result.loss, result.logs, 1)

    run(tiny_config(*split(4, 1)), uneven(panoramas), tmp_path / "whole")
    monkeypatch.setattr(StageModule, "step", as_one)
    run(tiny_config(*split(1, 4)), uneven(panoramas), tmp_path / "parts")
    assert apart(gradients[0], gradients[2]) > 1e-2


def test_a_last_step_of_fewer_batches_is_a_mean_too(tiny_config, panoramas, tmp_path, gradients):
    some = lambda split: uneven(panoramas)(split)[:3]  # noqa: E731 (three panoramas: the only step has three batches)
    epoch = ("stages.resampler.max_steps=null", "stages.resampler.epochs=1")
    run(tiny_config(*split(4, 1), *epoch), some, tmp_path / "whole")
    run(tiny_config(*split(1, 4), *epoch), some, tmp_path / "parts")
    assert len(gradients) == 2 and apart(*gradients) < 1e-6


def spoil(monkeypatch, bad, value=float("nan")):
    """Make the loss of some batches not finite."""
    from panollava.training.module import StageModule

    original, count = StageModule.step, iter(range(999))

    def step(self, batch, *, idle=False):
        result = original(self, batch)
        return type(result)(result.loss * value, result.logs, result.weight) if next(count) in bad else result

    monkeypatch.setattr(StageModule, "step", step)


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(
    tiny_config, panoramas, tmp_path, monkeypatch, gradients, caplog
):
    cfg = tiny_config("stages.resampler.max_steps=3", "stages.resampler.accumulation=2")
    spoil(monkeypatch, {3})  # the second batch of the second step
    with caplog.at_level("WARNING", logger="panollava"):
        model, outcome = run(cfg, panoramas, tmp_path)
    assert [all(g is None for g in step.values()) for step in gradients] == [False, True, False]
    assert (outcome.steps, outcome.skipped_steps) == (3, 1)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert math.isfinite(outcome.final_loss)
    assert "stage 'resampler': skipped step 1, has a loss of nan; batch 3: " in caplog.text
    assert "(rows " in caplog.text


def test_a_gradient_that_is_not_finite_is_skipped_too(tiny_config, panoramas, tmp_path, monkeypatch, gradients):
    from panollava.training.module import StageModule

    class Explode(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * math.inf

    original, count = StageModule.step, iter(range(9))

    def step(self, batch, *, idle=False):
        result = original(self, batch)
        if next(count) != 1:
            return result
        return type(result)(Explode.apply(result.loss), result.logs, result.weight)

    monkeypatch.setattr(StageModule, "step", step)
    _, outcome = run(tiny_config("stages.resampler.max_steps=3"), panoramas, tmp_path)
    assert outcome.skipped_steps == 1 and all(g is None for g in gradients[1].values())


def test_too_many_in_a_row_stop_the_stage_and_name_what_was_in_them(tiny_config, panoramas, tmp_path, monkeypatch):
    spoil(monkeypatch, {1, 3, 4, 5})
    cfg = tiny_config("stages.resampler.max_steps=9")
    with pytest.raises(
        TrainingError, match=r"has a loss of nan at step 3; .*in a row that were not finite: 3\n"
    ) as told:
        run(cfg, panoramas, tmp_path)
    lines = str(told.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["step 3", "step 4", "step 5"]
    names = {p.samples[0].image_id for p in panoramas("train")}
    assert all(any(name in line for name in names) and "rows" in line for line in lines)


def test_the_limit_may_be_chosen(tiny_config, panoramas, tmp_path, monkeypatch):
    spoil(monkeypatch, {1})
    with pytest.raises(TrainingError, match="in a row that were not finite: 1"):
        run(tiny_config("stages.resampler.max_steps=3", "trainer.max_skipped=1"), panoramas, tmp_path)


# -- averages ------------------------------------------------------------------------------------------------------


def trained_weights(model):
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


@pytest.fixture
def after_steps(monkeypatch):
    """Return a list that every optimiser step adds the trained weights to."""
    from panollava.training.average import WeightAverage

    seen = []
    original = WeightAverage.on_train_batch_end

    def spy(self, trainer, module, *rest):
        seen.append(trained_weights(module.model))
        return original(self, trainer, module, *rest)

    monkeypatch.setattr(WeightAverage, "on_train_batch_end", spy)
    return seen


def test_the_average_is_that_of_the_steps_and_goes_where_it_is_wanted(tiny_config, panoramas, tmp_path, after_steps):
    start = build_model(tiny_config())
    common = ("stages.resampler.max_steps=4", "trainer.ema_decay=0.3")
    model, _ = run(tiny_config(*common), panoramas, tmp_path)
    expected = {n: dict(start.named_parameters())[n].detach().clone() for n in after_steps[0]}
    for t, weights in enumerate(after_steps, start=1):
        decay = min(0.3, (1 + t) / (10 + t))
        for name in expected:
            expected[name] = decay * expected[name] + (1 - decay) * weights[name]
    got = trained_weights(model)
    for name in expected:
        torch.testing.assert_close(got[name], expected[name])
    saved, _ = load_checkpoint(tmp_path / "resampler" / "last")
    assert all(torch.equal(dict(saved.named_parameters())[n], got[n]) for n in got)
    raw = after_steps[-1]
    after_steps.clear()
    model, _ = run(tiny_config(*common, "trainer.ema_use=validation"), panoramas, tmp_path / "raw")
    assert all(torch.equal(p, raw[n]) for n, p in trained_weights(model).items())
    assert any(not torch.equal(got[n], raw[n]) for n in got)


def test_validation_sees_the_average_where_it_should(tiny_config, panoramas, tmp_path):
    def val_loss(*more):
        cfg = tiny_config("stages.resampler.max_steps=4", *more)
        return run(cfg, panoramas, tmp_path, val=panoramas("val"))[1].val_loss

    plain, average = val_loss(), val_loss("trainer.ema_decay=0.9", "trainer.ema_use=validation")
    assert val_loss("trainer.ema_decay=0.9", "trainer.ema_use=checkpoint") == plain
    assert val_loss("trainer.ema_decay=0.9") == average != plain


# -- best and early stopping ---------------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Return a setter of the validation losses of a stage."""
    from panollava.training.module import StageModule

    def script(*losses):
        values = iter(losses)

        def end(self):
            self.last_val_loss, self.validated_step = next(values), self.global_step
            self._val.clear()

        monkeypatch.setattr(StageModule, "on_validation_epoch_end", end)

    return script


def test_the_best_checkpoint_stands_beside_the_last_and_is_found(tiny_config, panoramas, tmp_path, scripted):
    scripted(3.0, 1.0, 2.0)
    cfg = tiny_config("stages.resampler.max_steps=6", "trainer.val_every=2")
    _, outcome = run(cfg, panoramas, tmp_path, val=panoramas("val")[:1])
    assert (outcome.steps, outcome.best_step, outcome.val_loss) == (6, 4, 2.0)
    resolver = CheckpointResolver(tmp_path)
    best, last = resolver.find(which="best"), resolver.find()
    assert (best.name, last.name) == ("best", "last")
    (one, first), (two, second) = load_checkpoint(best), load_checkpoint(last)
    assert (first.step, first.val_loss, second.step, second.val_loss) == (4, 1.0, 6, 2.0)
    pairs = zip(one.projector.parameters(), two.projector.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_a_best_of_an_earlier_run_does_not_stay(tiny_config, panoramas, tmp_path):
    val = panoramas("val")[:1]
    run(tiny_config("trainer.val_every=1"), panoramas, tmp_path, val=val)
    assert (tmp_path / "resampler" / "best").is_dir()
    run(tiny_config(), panoramas, tmp_path, val=val)
    assert not (tmp_path / "resampler" / "best").exists()


def test_a_stage_stops_when_validation_no_longer_gets_better(tiny_config, panoramas, tmp_path, scripted, caplog):
    scripted(3.0, 2.0, 1.95, 2.5, 0.1)
    cfg = tiny_config(
        "stages.resampler.max_steps=9", "trainer.val_every=1", "trainer.patience=2", "trainer.min_delta=0.1"
    )
    with caplog.at_level("INFO", logger="panollava"):
        _, outcome = run(cfg, panoramas, tmp_path, val=panoramas("val")[:1])
    assert (outcome.steps, outcome.best_step) == (4, 2)  # 1.95 is not 0.1 better than 2.0
    assert "stopped at step 4: the best validation loss 2.0000 is of step 2" in caplog.text


def test_validation_counts_optimiser_steps_and_the_last_step_is_validated(
    tiny_config, panoramas, tmp_path, monkeypatch
):
    from panollava.training.module import StageModule

    seen, original = [], StageModule.on_validation_epoch_end

    def end(self):
        seen.append(self.global_step)
        original(self)

    monkeypatch.setattr(StageModule, "on_validation_epoch_end", end)
    cfg = tiny_config("stages.resampler.max_steps=5", "stages.resampler.accumulation=2", "trainer.val_every=2")
    _, outcome = run(cfg, panoramas, tmp_path, val=panoramas("val")[:1])
    assert seen == [2, 4, 5]
    assert math.isfinite(outcome.val_loss)


def test_patience_needs_validations(tiny_config):
    with pytest.raises(ConfigError, match=r"patience is 2, but val_every is null.*write val_every"):
        tiny_config("trainer.patience=2")


# -- execution -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resampler", "finetune"])
def test_computing_activations_again_gives_the_same_gradient(
    tiny_config, panoramas, tmp_path, gradients, monkeypatch, name
):
    import torch.utils.checkpoint as module

    calls, original = [], module._checkpoint_without_reentrant_generator

    def count(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, "_checkpoint_without_reentrant_generator", count)
    run(tiny_config(), panoramas, tmp_path / "kept", name=name)
    assert not calls
    model, _ = run(tiny_config("trainer.gradient_checkpointing=true"), panoramas, tmp_path / "again", name=name)
    assert len(calls) >= 2 * 2  # two blocks in each of two steps
    assert apart(gradients[0], gradients[2]) < 1e-6
    calls.clear()
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_decoder_gives_the_same_gradient(tiny_config, panoramas, tmp_path, gradients):
    from torch._dynamo.utils import counters

    run(tiny_config(), panoramas, tmp_path / "plain")
    counters.clear()
    model, _ = run(tiny_config("trainer.compile=true"), panoramas, tmp_path / "compiled")
    assert counters["stats"]["unique_graphs"] > 0
    assert apart(gradients[0], gradients[2]) < 1e-4
    assert all(module._compiled_call_impl is None for module in model.modules())


def test_without_a_compiler_the_way_out_is_named(tiny_config, panoramas, tmp_path, monkeypatch):
    monkeypatch.setattr("panollava.training.execution.compiler", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"no C\+\+ compiler.*trainer.compile: false"):
        run(tiny_config("trainer.compile=true"), panoramas, tmp_path)
