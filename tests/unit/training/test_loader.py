"""Which panoramas and questions a step sees is a function of seed, epoch and index."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from panollava.data.augment import Augment, augmented
from panollava.data.dataset import choose_questions, conversations, epoch_batches
from panollava.data.manifest import PanoramaSamples, Sample
from panollava.models.protocol import PanoramaBatch
from panollava.text.chat import IGNORE_INDEX
from panollava.training import feeds, stages
from panollava.training.loader import LanguageBatches, PixelBatches, StagePlan, loader, packed_lengths


def panorama(questions):
    path = Path("a.jpg")
    return PanoramaSamples(
        path, tuple(Sample(path, f"q{i}", f"a{i}", "open", str(i), "a.jpg", "m", i) for i in range(questions))
    )


def plan(count=7, **changes):
    settings = {"batch_size": 2, "seed": 1, "steps": None, "epochs": 2, "accumulation": 1, **changes}
    return StagePlan.make(count, **settings).batches


def test_every_epoch_sees_every_panorama_once_in_another_order():
    batches = plan()
    order = {e: [i for epoch, batch in batches if epoch == e for i in batch] for e in (0, 1)}
    assert sorted(order[0]) == sorted(order[1]) == list(range(7))
    assert order[0] != order[1]
    assert [len(b) for _, b in batches] == [2, 2, 2, 1] * 2


def test_the_plan_is_a_function_of_the_seed():
    assert plan() == plan()
    assert plan() != plan(seed=2)
    assert plan(steps=3, epochs=None) == plan()[:3]


def test_steps_are_optimiser_steps():
    assert len(plan(steps=5, epochs=None, accumulation=3)) == 15
    assert len({e for e, _ in plan(steps=5, epochs=None, accumulation=3)}) == 4


@pytest.mark.parametrize(("count", "size"), [(1, 4), (4, 4), (5, 4)])
def test_a_short_last_batch_is_kept(count, size):
    batches = epoch_batches(count, batch_size=size, seed=0, epoch=0)
    assert sorted(i for b in batches for i in b) == list(range(count))


def test_questions_are_drawn_anew_in_every_epoch_and_kept_in_order():
    drawn = [[s.query for s in choose_questions(panorama(10), limit=3, seed=4, epoch=e, index=0)] for e in range(40)]
    assert all(len(set(d)) == 3 and d == sorted(d) for d in drawn)
    assert set(Counter(q for d in drawn for q in d)) == {f"q{i}" for i in range(10)}
    assert drawn == [
        [s.query for s in choose_questions(panorama(10), limit=3, seed=4, epoch=e, index=0)] for e in range(40)
    ]


@pytest.mark.parametrize("limit", [None, 10, 99])
def test_without_a_limit_all_are_asked(limit):
    assert len(choose_questions(panorama(10), limit=limit, seed=0, epoch=0, index=0)) == 10


def test_a_batch_holds_the_planned_panoramas_and_questions(tiny_model, panoramas):
    from panollava.data.features import FeatureStore

    model, data = tiny_model(), panoramas("train")
    store = FeatureStore(encode=model.encode, layout=model.layout, folder=None)
    chosen = StagePlan(((0, (1, 0)), (1, (2,))))
    batches = list(loader(LanguageBatches(data, chosen, model, store, limit=2, seed=9), workers=0))
    assert [len(b.text.ids) for b in batches] == [2, 1]
    for (epoch, indices), batch in zip(chosen.batches, batches, strict=True):
        for row, i in enumerate(indices):
            asked = choose_questions(data[i], limit=2, seed=9, epoch=epoch, index=i)
            said = batch.text.labels[row]
            wanted = [t for s in asked for t in model.chat.answer_ids(s.answer)]
            assert said[said != IGNORE_INDEX].tolist() == wanted
        assert all(
            torch.equal(a, b) for a, b in zip(batch.features, store.get([data[i].image for i in indices]), strict=True)
        )


def test_pixels_are_the_rendered_views(tiny_model, panoramas):
    from panollava.data.images import open_panorama
    from panollava.geometry import render_views

    model, data = tiny_model(), panoramas("train")
    [views] = loader(PixelBatches(data, StagePlan(((0, (3,)),)), model), workers=0)
    wanted = render_views(open_panorama(data[3].image), model.layout)
    assert [tuple(v.shape) for v in views] == [(1, 8, 32, 32, 3), (1, 1, 32, 64, 3)]
    assert torch.equal(views[0][0, 5], torch.from_numpy(wanted[5]))
    assert torch.equal(views[1][0, 0], torch.from_numpy(wanted[8]))


AUGMENT = Augment(5, "columns", mirror=0.5, pitch_jitter_deg=3.0)


def test_an_augmented_batch_holds_turned_views_and_texts(tiny_model, panoramas):
    model, data = tiny_model(), panoramas("train")
    chosen = StagePlan(((0, (1, 0)), (1, (1, 0))))
    batches = LanguageBatches(data, chosen, model, None, limit=2, seed=9, augment=AUGMENT)
    for number, (epoch, indices) in enumerate(chosen.batches):
        batch = batches[number]
        assert batch.features is None
        for row, i in enumerate(indices):
            [asked] = conversations([choose_questions(data[i], limit=2, seed=9, epoch=epoch, index=i)])
            views, pairs = augmented(data[i].image, asked, AUGMENT, layout=model.layout, epoch=epoch, index=i)
            assert all(torch.equal(a[row], b) for a, b in zip(batch.views, views, strict=True))
            said = batch.text.labels[row]
            assert said[said != IGNORE_INDEX].tolist() == [t for _, a in pairs for t in model.chat.answer_ids(a)]
    assert not torch.equal(batches[0].views[0], batches[1].views[0])


def same(a, b):
    """Whether two batches hold equal tensors."""
    flat = [[*x.views, x.text.ids, x.text.labels] if isinstance(x, PanoramaBatch) else list(x) for x in (a, b)]
    return all(torch.equal(p, q) for p, q in zip(*flat, strict=True))


def test_loader_processes_make_the_same_augmented_batches(tiny_model, panoramas):
    model, data = tiny_model(), panoramas("train")
    chosen = StagePlan(((0, (1, 0)), (1, (2, 3)), (2, (1, 0))))
    for batches in (
        LanguageBatches(data, chosen, model, None, limit=2, seed=9, augment=AUGMENT),
        PixelBatches(data, chosen, model, augment=AUGMENT),
    ):
        one, two = (list(loader(batches, workers=workers)) for workers in (0, 2))
        assert len(one) == 3 and all(same(a, b) for a, b in zip(one, two, strict=True))
        assert not same(one[0], one[2])


def test_pixels_without_texts_turn_freely(tiny_model, panoramas):
    model, data = tiny_model(), panoramas("train")
    turned = PixelBatches(data, StagePlan(((2, (3,)),)), model, augment=AUGMENT)[0]
    views, _ = augmented(data[3].image, (), AUGMENT, layout=model.layout, epoch=2, index=3)
    assert all(torch.equal(a[0], b) for a, b in zip(turned, views, strict=True))
    assert not same(turned, PixelBatches(data, StagePlan(((2, (3,)),)), model)[0])


@pytest.mark.parametrize("number", [0, 1], ids=["overlap", "language"])
def test_validation_is_never_augmented_and_keeps_its_features(
    tiny_model, tiny_config, panoramas, number, tmp_path, monkeypatch
):
    cfg = tiny_config("data.augment.yaw=columns", f"paths.data={tmp_path}")
    model, rows = tiny_model(), panoramas("train")
    filled = []
    monkeypatch.setattr(feeds, "_fill", lambda _store, _model, images, *, rolls: filled.extend(images))
    plan = StagePlan(((0, (0, 1)),))
    train, val = feeds.loaders(model, cfg.stages[number], cfg, plan=plan, train=rows[:2], val=rows[2:4])
    assert train.dataset.augment == Augment(cfg.experiment.seed, "columns", ring=8)
    assert val.dataset.augment is None
    if number:
        assert train.dataset.store is None and val.dataset.store is not None
        assert filled == [p.image for p in rows[2:4]]


def test_a_stage_trains_on_augmented_panoramas(tiny_model, tiny_config, panoramas, tmp_path):
    cfg = tiny_config(
        "data.augment.yaw=any", "data.augment.mirror=0.5", "data.augment.roll_jitter_deg=2", runs=tmp_path
    )
    model = tiny_model()
    for stage in cfg.stages[:2]:
        outcome = stages.run_stage(
            model, stage, cfg, train=panoramas("train"), val=panoramas("train")[:1], run_dir=tmp_path, trained=set()
        )
        assert outcome.steps == 2 and outcome.val_loss is not None


def test_a_budget_of_tokens_fills_batches_with_what_the_model_will_read(tiny_model, panoramas):
    model, data = tiny_model(), panoramas("train")
    lengths = packed_lengths(data, model, limit=2, seed=9)
    longest = max(lengths(e, i) for e in (0, 1) for i in range(len(data)))
    budget = 3 * longest
    settings = {"batch_size": 99, "seed": 9, "steps": None, "epochs": 2, "accumulation": 1}
    chosen = StagePlan.make(len(data), budget=budget, lengths=lengths, **settings)
    assert chosen == StagePlan.make(len(data), budget=budget, lengths=lengths, **settings)
    for e in (0, 1):
        assert sorted(i for epoch, batch in chosen.batches if epoch == e for i in batch) == list(range(len(data)))
    batches = LanguageBatches(data, chosen, model, None, limit=2, seed=9)
    read = [int((batches[n].text.segments >= 0).sum()) for n in range(len(chosen.batches))]
    assert read == [sum(lengths(e, i) for i in batch) for e, batch in chosen.batches]
    assert max(read) <= budget and len(read) <= 2 * -(-len(data) // 3)


def test_turns_by_steps_of_the_ring_are_read_from_kept_features(tiny_model, tiny_config, panoramas, tmp_path):
    cfg = tiny_config("data.augment.yaw=stride", f"paths.data={tmp_path}", runs=tmp_path)
    model, rows = tiny_model(), panoramas("train")
    chosen = StagePlan(tuple((epoch, (0, 1)) for epoch in range(4)))
    train, _ = feeds.loaders(model, cfg.stages[1], cfg, plan=chosen, train=rows[:2], val=())
    plain = LanguageBatches(rows, chosen, model, None, limit=3, seed=3, augment=train.dataset.augment)
    encode, model.encode = model.encode, None  # all that is asked for is kept
    turned = set()
    for number, batch in enumerate(train):
        with torch.no_grad():
            wanted = encode(plain[number].views)
        assert torch.equal(batch.text.ids, plain[number].text.ids)
        for a, b in zip(batch.features, wanted, strict=True):
            assert (a - b).abs().mean() < 0.05 * b.std()  # single pixels are rounded to another neighbour
        turned |= {steps for _, steps in train.dataset.requests(chosen)}
    assert len(turned) > 1


def test_each_of_several_processes_keeps_a_share_of_all_turns(
    tiny_model, tiny_config, panoramas, tmp_path, monkeypatch
):
    cfg = tiny_config("data.augment.yaw=stride", f"paths.data={tmp_path}", runs=tmp_path)
    model, rows, filled = tiny_model(), panoramas("train")[:5], []
    monkeypatch.setattr(feeds.FeatureStore, "fill", lambda self, images, *, rolls, progress: filled.extend(rolls))
    chosen = StagePlan(tuple((epoch, (0, 1, 2, 3, 4)) for epoch in range(4)))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number in ("0", "1"):
        monkeypatch.setenv("RANK", number)
        train, _ = feeds.loaders(model, cfg.stages[1], cfg, plan=chosen, train=rows, val=())
    wanted = train.dataset.requests(chosen)
    assert sorted(filled) == sorted(wanted) and len(set(wanted)) == len(wanted) > 5
