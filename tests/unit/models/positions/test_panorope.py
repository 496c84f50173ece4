"""PanoRoPE as its two releases compute it, and alike in training and in answers."""

import pytest
import torch

from panollava.data.pack import PackedText, placeholder_mask
from panollava.errors import ModelError
from panollava.geometry import build_layout
from panollava.models.positions import PanoRopePosition, token_places
from panollava.models.resamplers import MlpResampler
from panollava.models.vlm import PanoramaBatch


def built(release, *, rows=16, overlap=0.5):
    layout = build_layout("e2p", hfov_deg=90.0, overlap=overlap, pitch_deg=0.0, size_px=32, global_size_px=(32, 64))
    places = token_places(layout, patch_grids=[(rows, 16), (4, 8)], resampler=MlpResampler(width=8, pool=1))
    return PanoRopePosition(layout=layout, places=places, release=release), places


@pytest.mark.parametrize(("release", "step"), [("cora360", -128), ("snapshot", 128)])
def test_the_shift_of_a_tile(release, step):
    """256 tokens of a tile, half of it overlap: the first public code moves tile t by 128 t, its successor back."""
    position, places = built(release)
    for tile in range(8):
        assert set(position.shifts[places.view == tile].tolist()) == {tile * step}
    assert set(position.shifts[places.view == 8].tolist()) == {0}  # the global view
    starts = [256 * tile + tile * step for tile in range(8)]
    assert starts[:3] == ([0, 384, 768] if release == "snapshot" else [0, 128, 256])


def test_the_ring_stays_open():
    """The last tile overlaps the first on the sphere, and no position of one is one of the other."""
    position, places = built("cora360")
    ids = torch.arange(len(places.rays)) + position.shifts
    first, second, last = (set(ids[places.view == tile].tolist()) for tile in (0, 1, 7))
    assert len(first & second) == 128 and not first & last


def test_what_is_shared_is_rows_and_not_columns():
    position, places = built("cora360")
    ids = torch.arange(len(places.rays)) + position.shifts
    one = (places.view == 0) & (places.row == 12) & (places.col == 5)
    two = (places.view == 1) & (ids == ids[one])
    assert (int(places.row[two]), int(places.col[two])) == (4, 5)  # half a view down, and no column across


@pytest.mark.parametrize("release", ["cora360", "snapshot"])
@pytest.mark.parametrize("language", ["qwen2", "llama", "gemma2"])
@torch.no_grad()
def test_answers_are_those_that_training_would_call_likeliest(tiny_model, pixels, language, release):
    model = tiny_model(
        "position.kind=panorope", f"position.release={release}", "position.harmonics=8", language=language
    )
    plain = tiny_model("position.kind=none", language=language)
    features = model.encode(pixels(model, 1))
    ids = []
    for _ in range(5):
        text = model.pack([[("where?", "")]])
        tail = torch.tensor([[*text.ids[0, :-1].tolist(), *ids, model.chat.stop_id]])
        labels = torch.full_like(tail, -100)
        labels[0, -1] = model.chat.stop_id
        segments = torch.cat([text.segments, torch.ones(1, len(ids), dtype=text.segments.dtype)], dim=1)
        batch = PanoramaBatch(features, PackedText(tail, labels, torch.arange(tail.shape[1])[None], segments))
        logits, _ = model.supervised_logits(batch)
        ids.append(int(logits[-1].argmax()))
        if ids[-1] == model.chat.stop_id:
            break
    other, _ = plain.supervised_logits(batch)
    assert (logits - other).abs().max() > 1e-4  # the shift is heard
    wanted = model.chat.decode(ids)
    assert model.generate(features, [(0, "where?")], max_new_tokens=5) == [wanted]
    longer = (0, "what is to the left of the red ball, behind the cube?")
    assert model.generate(features, [(0, "where?"), longer], max_new_tokens=5, temperature=1e-4)[0] == wanted


def test_text_and_branches_keep_their_positions(tiny_model):
    model = tiny_model("position.kind=panorope", "position.harmonics=8")
    text = model.pack([[("where?", "left"), ("what?", "a ball")], [("is it red?", "no")]])
    read = model.as_read(text)
    vision = placeholder_mask(text.ids)
    assert torch.equal(read.positions[~vision], text.positions[~vision])
    moved = (read.positions - text.positions)[vision].reshape(2, -1)
    assert torch.equal(moved, model.position.shifts.expand(2, -1)) and int(moved.min()) < 0


def test_a_layout_without_a_ring_and_an_unknown_release_are_refused():
    layout = build_layout("resize", size_px=(32, 64))
    places = token_places(layout, patch_grids=[(4, 8)], resampler=MlpResampler(width=8, pool=1))
    with pytest.raises(ModelError, match=r"tiles of a ring, and layout 'resize' has none; use views.kind: e2p"):
        PanoRopePosition(layout=layout, places=places)
    with pytest.raises(ModelError, match=r"'cora'. Did you mean 'cora360'"):
        built("cora")


@pytest.mark.parametrize("language", ["qwen2", "gemma2"])
@torch.no_grad()
def test_answers_are_the_same_whichever_way_the_prefix_is_kept(tiny_model, pixels, language):
    """Kept once, copied to each row, or read by Hugging Face's search of one beam: positions jump in all of them."""
    said = []
    for attention in ("auto", "eager"):
        model = tiny_model(
            "position.kind=panorope", "position.harmonics=8", f"language.attention={attention}", language=language
        )
        features = model.encode(pixels(model, 2))
        questions = [(0, "where?"), (1, "what is to the left of the red ball?"), (1, "up?")]
        said.append(model.generate(features, questions, max_new_tokens=6))
        said.append(model.generate(features, questions, max_new_tokens=6, num_beams=2))
    assert said[0] == said[2] and said[1] == said[3]
