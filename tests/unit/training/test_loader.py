"""Which panoramas and questions a step sees is a function of seed, epoch and index."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from panollava.data.dataset import choose_questions, epoch_batches
from panollava.data.manifest import PanoramaSamples, Sample
from panollava.text.chat import IGNORE_INDEX
from panollava.training.loader import LanguageBatches, PixelBatches, StagePlan, loader


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
