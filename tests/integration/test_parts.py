"""Every resampler with every position: built, trained a step, asked, and back from a checkpoint bit for bit."""

import itertools

import pytest
import torch

from panollava.checkpoints.format import load_checkpoint, read_meta, save_checkpoint
from panollava.config import to_dict
from panollava.config.visual import POSITION_READS, WITHOUT_PLACE
from panollava.models.positions import POSITIONS
from panollava.models.resamplers import RESAMPLERS
from panollava.models.vlm import PanoramaBatch
from panollava.training.freeze import set_trainable
from panollava.training.optim import build_optimizer

TALK = [[("what is behind you?", "the ball"), ("is there a cube?", "no")], [("where is the ball?", "left")]]
TRAINS = ("resampler", "projector", "position")
WITHOUT_PARAMETERS = ("rotary", "sinusoid", "seed", "panorope", "none")


def settings(resampler, position):
    words = [f"resampler.kind={resampler}", f"position.kind={position}"]
    if "harmonics" not in POSITION_READS.get(position, ("harmonics",)):
        words.append("position.harmonics=8")
    if resampler in WITHOUT_PLACE:
        words += ["stages.vision.trains=[vision]", "stages.vision.lr.resampler=null"]
    return words


@pytest.mark.parametrize(("resampler", "position"), list(itertools.product(RESAMPLERS, POSITIONS)))
def test_it_trains_a_step_answers_and_reloads(tiny_config, tiny_model, pixels, snapshot, tmp_path, resampler, position):
    words = settings(resampler, position)
    model = tiny_model(*words)
    counts = set_trainable(model, TRAINS, vision_blocks=0)
    assert set(counts.trainable) == set(TRAINS) - ({"position"} if position in WITHOUT_PARAMETERS else set())
    with torch.no_grad():
        batch = PanoramaBatch(model.encode(pixels(model)), model.pack(TALK))
    before = snapshot(model)
    optimizer = build_optimizer(model, lr=dict.fromkeys(TRAINS, 1e-2), weight_decay=0.0)
    model.resampler.train()
    model.loss(batch).loss.backward()
    model.resampler.eval()
    optimizer.step()
    after = snapshot(model)
    moved = {c for c in after if any(not torch.equal(after[c][n], before[c][n]) for n in after[c])}
    assert moved == set(counts.trainable)

    folder = save_checkpoint(
        model, tmp_path / "last", config=to_dict(tiny_config(*words)), stage="resampler", epoch=1, step=1,
        trained=set(TRAINS),
    )  # fmt: skip
    assert set(read_meta(folder).components) == set(counts.trainable)
    again, _ = load_checkpoint(folder)
    with torch.no_grad():
        assert torch.equal(again.supervised_logits(batch)[0], model.supervised_logits(batch)[0])
    questions = [(0, "where?"), (1, "what is to the left of the red ball?"), (1, "up?")]
    answers = model.generate(batch.features, questions, max_new_tokens=3)
    assert answers == again.generate(batch.features, questions, max_new_tokens=3)
    assert answers == [model.generate(batch.features, [q], max_new_tokens=3)[0] for q in questions]


@pytest.mark.parametrize("position", [kind for kind in POSITIONS if kind != "none"])
@torch.no_grad()
def test_every_position_is_heard(tiny_model, pixels, position):
    """Left out of a built model, it must be missed: in the answers' logits, and where it says that it acts."""
    model = tiny_model(*settings("mlp", position))
    batch = PanoramaBatch(model.encode(pixels(model)), model.pack(TALK))
    logits, tokens = model.supervised_logits(batch)[0], model.vision_tokens(batch.features)
    model.position = None
    assert (model.supervised_logits(batch)[0] - logits).abs().max() > 1e-4
    assert torch.equal(model.vision_tokens(batch.features), tokens) == (position == "panorope")
