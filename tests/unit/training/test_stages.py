"""The three stages: what each changes, what it leaves bit-identical, and what it writes."""

import json
from dataclasses import replace

import pytest
import torch

from panollava.errors import TrainingError
from panollava.models.build import build_model
from panollava.training.stages import run_stage

NEW_PARTS = {"resampler", "projector", "position"}


def run(model, cfg, name, panoramas, folder, *, val=(), trained=None):
    return run_stage(
        model, cfg.stage(name), cfg, train=panoramas("train"), val=val, run_dir=folder,
        trained=set() if trained is None else trained,
    )  # fmt: skip


def changed(before, after):
    """Return the names of the parameters that differ in any bit, by component."""
    return {
        component: {n for n in after[component] if not torch.equal(before[component][n], after[component][n])}
        for component in after
        if component in before
    }


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_named_components_change_and_all_others_are_bit_identical(three_stages, number):
    row = three_stages.cfg.stages[number]
    before, after = three_stages.snapshots[number : number + 2]
    moved = changed(before, after)
    assert {c for c, names in moved.items() if names} == set(row.trains) & before.keys()
    assert set(before["language"]) == set(after["language"])  # the base keeps its weights under an adapter
    for component in set(row.trains) - {"vision", "adapter"}:
        assert moved[component] == set(after[component]), f"{component}: not every parameter moved"


def test_of_the_encoder_the_last_block_changes(three_stages):
    moved = changed(*three_stages.snapshots[:2])["vision"]
    assert moved and all(".layers.1." in name for name in moved)
    still = {n for n in three_stages.snapshots[0]["vision"] if n not in moved}
    assert any(".layers.0." in n for n in still) and any("embeddings" in n for n in still)


def test_the_adapter_starts_as_nothing_and_moves(three_stages):
    assert "adapter" not in three_stages.snapshots[2]
    adapter = three_stages.snapshots[3]["adapter"]
    b = {n: w for n, w in adapter.items() if "lora_B" in n}
    assert b and all(w.abs().max() > 0 for w in b.values())


def test_the_outcome_says_what_trained(three_stages):
    for row, outcome in zip(three_stages.cfg.stages, three_stages.outcomes, strict=True):
        assert set(outcome.trainable) == set(row.trains)
        assert (outcome.steps, outcome.name, outcome.objective) == (2, row.name, row.objective)
        assert outcome.final_loss > 0 and outcome.val_loss > 0
        json.dumps(outcome.as_dict())
    finetune = three_stages.outcomes[-1]
    assert finetune.frozen.keys() == {"vision", "language"}
    assert finetune.trainable["adapter"] == sum(w.numel() for w in three_stages.snapshots[-1]["adapter"].values())


def test_what_trains_is_announced(three_stages, tiny_config, panoramas, tmp_path, caplog):
    cfg = tiny_config("stages.resampler.max_steps=1")
    with caplog.at_level("INFO", logger="panollava"):
        run(build_model(cfg), cfg, "resampler", panoramas, tmp_path)
    said = caplog.text
    assert "stage resampler (language)" in said
    assert "trains  resampler" in said and "frozen  vision" in said and "language" in said


def test_curves_are_logged_twice(three_stages):
    for row in three_stages.cfg.stages:
        folder = three_stages.run_dir / "logs" / row.name
        lines = (folder / "metrics.csv").read_text().splitlines()
        assert {"train/loss", "val/loss", "lr"} <= set(lines[0].split(","))
        assert sum(bool(line.split(",")[lines[0].split(",").index("train/loss")]) for line in lines[1:]) == 2
        assert list(folder.glob("events.out.tfevents.*"))
    vision = (three_stages.run_dir / "logs" / "vision" / "metrics.csv").read_text().splitlines()[0]
    assert {"train/invariance", "train/variance", "train/covariance", "train/cosine"} <= set(vision.split(","))


@pytest.mark.parametrize("name", ["vision", "finetune"])
def test_the_same_seed_gives_the_same_bits(tiny_config, panoramas, tmp_path, snapshot, name):
    drawn = iter(range(5, 99))

    def weights(*overrides):
        cfg = tiny_config("lora.dropout=0.2", *overrides)
        model = build_model(cfg, adapter=name == "finetune")
        torch.rand(next(drawn))  # whatever else has drawn numbers before
        run(model, cfg, name, panoramas, tmp_path / "run")
        return snapshot(model)

    one, two, other = weights(), weights(), weights("experiment.seed=4")
    assert all(torch.equal(one[c][n], two[c][n]) for c in one for n in one[c])
    assert any(not torch.equal(one[c][n], other[c][n]) for c in one for n in one[c])


def test_the_blind_model_trains_its_adapter_alone(tiny_config, panoramas, tmp_path, snapshot):
    from panollava.workflow import ThreeStageTrainer

    cfg = tiny_config(runs=tmp_path)
    before = snapshot(build_model(cfg, blind=True))
    trainer = ThreeStageTrainer(cfg, blind=True)
    trainer.run()
    [outcome] = trainer.outcomes
    assert (outcome.name, set(outcome.trainable), set(outcome.frozen)) == ("finetune", {"adapter"}, {"language"})
    assert (tmp_path / "tiny" / "blind" / "finetune" / "last" / "adapter.safetensors").is_file()
    assert before.keys() == {"language"}


def test_the_rate_counts_optimiser_steps_under_accumulation(tiny_config, panoramas, tmp_path):
    cfg = tiny_config(
        "stages.resampler.max_steps=4", "stages.resampler.accumulation=3", "stages.resampler.batch_size=1",
        "stages.resampler.warmup_fraction=0.5", "stages.resampler.lr.projector=3e-3",
    )  # fmt: skip
    rates = spy_on_rates(cfg, panoramas, tmp_path)
    assert [len(rates), *{len(r) for r in rates.values()}] == [3, 4]
    shape = [0.5, 1.0, 1.0, 0.5]
    assert rates["projector"] == pytest.approx([3e-3 * f for f in shape])
    assert rates["resampler"] == rates["position"] == pytest.approx([1e-3 * f for f in shape])


def spy_on_rates(cfg, panoramas, folder):
    """Return the rate of each component at every optimiser step."""
    seen = {}
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        done = original(self, closure)
        for group in self.param_groups:
            if not group["name"].endswith("/no_decay"):
                seen.setdefault(group["name"], []).append(group["lr"])
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        outcome = run(build_model(cfg), cfg, "resampler", panoramas, folder)
    assert outcome.steps == cfg.stage("resampler").max_steps
    return seen


def test_a_stage_without_one_finite_step_is_an_error(tiny_config, panoramas, tmp_path):
    cfg = tiny_config()
    model = build_model(cfg)
    with torch.no_grad():
        model.projector.gain.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"'resampler' has a loss of nan at step 0; lower its lr .*0\.001.*"):
        run(model, cfg, "resampler", panoramas, tmp_path)
    assert not (tmp_path / "resampler" / "last").exists()


def test_nothing_to_train_on_is_said(tiny_config, tiny_model, tmp_path):
    cfg = tiny_config()
    with pytest.raises(TrainingError, match=r"stage 'resampler' has no training samples; look at data.train"):
        run(tiny_model(), cfg, "resampler", lambda _: [], tmp_path)


@torch.no_grad()
def test_validation_is_the_mean_over_tokens_of_the_panoramas_as_they_are(tiny_config, panoramas, tmp_path):
    """With a rate of nothing the validation loss is that of the start: recomputed here one question at a time."""
    from panollava.data.views import load_views
    from panollava.models.vlm import PanoramaBatch

    cfg = tiny_config(
        "stages.resampler.lr={resampler: 1e-30, projector: 1e-30, position: 1e-30}",
        "stages.resampler.questions_per_panorama=null", "stages.resampler.max_steps=1", "stages.resampler.batch_size=3",
    )  # fmt: skip
    model = build_model(cfg)
    val = panoramas("train")[:4]  # batches of 3 and 1: a mean over batches would be another number
    with torch.enable_grad():
        got = run(model, cfg, "resampler", panoramas, tmp_path, val=val).val_loss
    total = count = 0.0
    for panorama in val:
        features = model.encode(tuple(g[None] for g in load_views(panorama.image, model.layout)))
        for sample in panorama.samples:
            result = model.loss(PanoramaBatch(features, model.pack([[(sample.query, sample.answer)]])))
            total, count = total + float(result.loss) * result.tokens, count + result.tokens
    assert got == pytest.approx(total / count, rel=1e-4)


def test_the_overlap_stage_refuses_what_it_cannot_compare(tiny_config, tiny_model, panoramas, tmp_path):
    cfg = tiny_config("views.kind=cubemap")
    with pytest.raises(TrainingError, match="layout 'cubemap' has no overlapping views"):
        run(build_model(cfg), cfg, "vision", panoramas, tmp_path)
    without_place = tiny_model(
        "resampler.kind=perceiver", "stages.vision.trains=[vision]", "stages.vision.lr.resampler=null"
    )
    with pytest.raises(TrainingError, match="needs tokens with a place in the view"):
        run(without_place, tiny_config(), "vision", panoramas, tmp_path)
    with pytest.raises(TrainingError, match="'vision', but the model has none"):
        run(tiny_model(blind=True), tiny_config(), "vision", panoramas, tmp_path)


def test_the_encoder_may_train_on_answers_and_then_is_not_read_from_the_cache(
    tiny_config, panoramas, tmp_path, snapshot
):
    cfg = tiny_config(
        "stages.resampler.trains=[vision, projector]",
        "stages.resampler.lr={vision: 1e-3, projector: 1e-3, resampler: null, position: null}",
        f"paths.data={tmp_path}",
    )
    model = build_model(cfg)
    before = snapshot(model)
    val = panoramas("val")[:1]
    run(model, cfg, "resampler", panoramas, tmp_path, val=val)
    moved = changed(before, snapshot(model))
    assert {c for c, names in moved.items() if names} == {"vision", "projector"}
    assert all(".layers.1." in name for name in moved["vision"])
    assert not (tmp_path / "features").exists()


def test_more_processes_than_one_are_refused(tiny_config, tiny_model, panoramas, tmp_path):
    cfg = tiny_config("trainer.devices=2")
    with pytest.raises(TrainingError, match=r"ask for 2 processes, and this is one of 1. Start them with torchrun"):
        run(tiny_model(), cfg, "resampler", panoramas, tmp_path)


def test_features_of_a_frozen_encoder_are_kept_and_those_of_another_are_not_mistaken(tiny_config, panoramas, tmp_path):
    from panollava.training.feeds import feature_store

    cfg = tiny_config(f"paths.data={tmp_path}")
    model = build_model(cfg)
    image = panoramas("train")[0].image
    first = feature_store(model, cfg).get([image])
    model.encode = None  # a second look may not encode
    again = feature_store(model, cfg).get([image])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    del model.encode
    with torch.no_grad():
        next(model.vision.model.parameters()).add_(0.1)
    other = feature_store(model, cfg).get([image])
    assert not torch.equal(first[0], other[0])
    assert len(list((tmp_path / "features").iterdir())) == 2
    wide = tiny_config(f"paths.data={tmp_path}", "views.hfov_deg=100")
    feature_store(build_model(wide), wide).get([image])
    assert len(list((tmp_path / "features").iterdir())) == 3


@pytest.mark.parametrize("what", ["mean", "hidden_act"])
def test_features_of_equal_weights_that_read_otherwise_are_not_mistaken(tiny_config, panoramas, tmp_path, what):
    from panollava.training.feeds import feature_store

    cfg, image = tiny_config(f"paths.data={tmp_path}"), panoramas("train")[0].image
    feature_store(build_model(cfg), cfg).get([image])
    model = build_model(cfg)
    if what == "mean":
        model.vision.contract = replace(model.vision.contract, mean=(0.1, 0.2, 0.3))
    else:
        model.vision.model.config.hidden_act = "relu"
    feature_store(model, cfg).get([image])
    assert len(list((tmp_path / "features").iterdir())) == 2
