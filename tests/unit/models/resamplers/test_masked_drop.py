"""Masked drop: what a training step hides is as good as cut out, the rest stays, and evaluation hides nothing."""

from dataclasses import replace

import pytest
import torch

from panollava.data.pack import PackedText, placeholder_mask
from panollava.errors import ModelError
from panollava.models.resamplers.masked_drop import MaskedDropResampler
from panollava.models.vlm import PanoramaBatch

TALK = [[("what is behind you?", "the ball"), ("is there a cube?", "no")], [("where is the ball?", "left")]]
GRIDS = [(2, 2)] * 3 + [(2, 4)]


def build(**changes):
    torch.manual_seed(0)
    return MaskedDropResampler(**{"width": 12, "keep": 0.5, "seed": 3, **changes})


@pytest.mark.parametrize(
    ("keep", "stay"), [(0.5, [2, 2, 2, 4]), (0.25, [1, 1, 1, 2]), (0.01, [1] * 4), (1.0, [4, 4, 4, 8])]
)
def test_every_view_keeps_its_share(keep, stay):
    mask = build(keep=keep).draw(5, grids=GRIDS)
    assert [part.sum(dim=1).tolist() for part in mask.split([4, 4, 4, 8], dim=1)] == [[n] * 5 for n in stay]


def test_columns_go_together():
    mask = build(drop="columns").draw(6, grids=[(3, 4)]).reshape(6, 3, 4)
    assert (mask == mask[:, :1]).all() and (mask.sum(dim=2) == 2).all()
    assert len({tuple(row) for row in mask[:, 0].tolist()}) > 1


def test_a_draw_is_a_function_of_seed_and_step():
    one, two, other = build(), build(), build(seed=4)
    first, second = (one.draw(2, grids=GRIDS) for _ in range(2))
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    torch.manual_seed(99)  # of no importance
    two.step = 1
    assert torch.equal(two.draw(2, grids=GRIDS), second)
    assert not torch.equal(other.draw(2, grids=GRIDS), first)


def test_every_token_has_its_turn():
    resampler = build()
    share = torch.stack([resampler.draw(8, grids=GRIDS) for _ in range(50)]).float().mean(dim=(0, 1))
    assert share.min() > 0.4 and share.max() < 0.6


@pytest.mark.parametrize("language", ["qwen2", "gemma2"])
def test_hidden_is_cut_out(tiny_model, pixels, language):
    """The logits are those of a row from which the hidden tokens are removed and nothing else is moved."""
    model = tiny_model("resampler.kind=masked_drop", language=language)
    views = pixels(model, 2)
    with torch.no_grad():
        features = model.encode(views)
        batch = PanoramaBatch(features, model.pack(TALK))
        whole, _ = model.supervised_logits(batch)
        model.resampler.train()
        logits, labels = model.supervised_logits(batch)
        model.resampler.step = 0
        seen = model.as_read(batch.text).segments != -1
        hidden = placeholder_mask(batch.text.ids) & ~seen
        assert hidden.sum(dim=1).tolist() == [model.token_count // 2] * 2
        embedded = model.embed(batch)
        for row in range(2):
            keep = ~hidden[row]
            text = PackedText(*(v[row][keep][None] for v in (
                batch.text.ids, batch.text.labels, batch.text.positions, batch.text.segments
            )))  # fmt: skip
            cut, said = model.language.supervised_logits(embedded[row][keep][None], text)
            start = 0 if row == 0 else len(labels) - len(said)
            torch.testing.assert_close(logits[start : start + len(said)], cut, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(logits, whole, atol=1e-3)


@torch.no_grad()
def test_evaluation_hides_nothing(tiny_model, pixels):
    dropping, plain = tiny_model("resampler.kind=masked_drop"), tiny_model()
    features = plain.encode(pixels(plain, 2))
    text = dropping.pack(TALK)
    assert dropping.as_read(text) is text and dropping.resampler.step == 0
    dropping.resampler.train()
    said = dropping.generate(features, [(0, "where?")], max_new_tokens=4)
    dropping.resampler.eval()
    assert said == dropping.generate(features, [(0, "where?")], max_new_tokens=4)
    batch = PanoramaBatch(features, text)
    torch.testing.assert_close(  # the same weights as mlp: drawn in the same order
        dropping.supervised_logits(batch)[0], plain.supervised_logits(replace(batch, text=plain.pack(TALK)))[0]
    )


def test_a_stage_hides_in_training_and_not_in_validation(tiny_config, panoramas, tmp_path, monkeypatch):
    from panollava.models.build import build_model
    from panollava.training.stages import run_stage

    drawn = []
    draw = MaskedDropResampler.draw
    monkeypatch.setattr(
        MaskedDropResampler, "draw", lambda self, n, *, grids: drawn.append(n) or draw(self, n, grids=grids)
    )
    cfg = tiny_config("resampler.kind=masked_drop")
    model = build_model(cfg)
    run_stage(
        model, cfg.stage("resampler"), cfg,
        train=panoramas("train"), val=panoramas("val"), run_dir=tmp_path, trained=set(),
    )  # fmt: skip
    assert drawn == [2, 2]  # two steps of two panoramas, and none in validation
    assert not model.resampler.training


def test_impossible_settings_are_refused():
    with pytest.raises(ModelError, match=r"resampler.keep is 0; .*above 0 and at most 1"):
        build(keep=0)
    with pytest.raises(ModelError, match=r"'column'. Did you mean 'columns'"):
        build(drop="column")
