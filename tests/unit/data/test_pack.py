"""Packing: several questions behind one prefix are worth as many rows."""

import pytest
import torch

from panollava.data.pack import PAD_SEGMENT, PackedText, branch_mask, first_fit_decreasing, pack, placeholder_mask
from panollava.models.language import load_language
from panollava.text.chat import IGNORE_INDEX, PLACEHOLDER_ID, chat_format

TURNS = [("what is behind you?", "the ball"), ("is there a cube?", "no"), ("where?", "front right of the cube")]
SEES = 5
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Float32 sums in another order, of logits of size about 1."""


@pytest.fixture(scope="module", params=["qwen2", "qwen3", "smollm3", "gemma2", "gemma3"])
def language(request, zoo):
    model, tokenizer = load_language(zoo.language(request.param), dtype=torch.float32)
    return model.eval(), chat_format(tokenizer)


@torch.no_grad()
def logits(language, text: PackedText, vision: torch.Tensor):
    """Return the logits of every supervised token, with the same vision tokens in every row."""
    embedded = language.embed(text.ids)
    places = placeholder_mask(text.ids)
    embedded[places] = vision.repeat(len(text.ids), 1)
    return language.supervised_logits(embedded, text)[0]


@pytest.fixture
def vision(language):
    return torch.randn(SEES, language[0].hidden_size, generator=torch.Generator().manual_seed(0))


def test_the_layout_is_that_of_the_drawing(tokenizer_of):
    chat = chat_format(tokenizer_of("llama"))
    text = pack(chat, [TURNS[:2], TURNS[2:]], vision_tokens=SEES)
    head, (first, second) = (
        len(chat.prefix_ids(0)),
        [(len(chat.question_ids(q)), len(chat.answer_ids(a))) for q, a in TURNS[:2]],
    )
    prefix, one, two = head + SEES, sum(first), sum(second)
    row = text.segments[0].tolist()
    assert row[: prefix + one + two] == [0] * prefix + [1] * one + [2] * two
    assert text.positions[0, : prefix + one + two].tolist() == [
        *range(prefix + one),
        *range(prefix, prefix + two),
    ]
    assert text.ids[0, head:prefix].tolist() == [PLACEHOLDER_ID] * SEES
    assert int((text.ids == PLACEHOLDER_ID).sum()) == 2 * SEES
    answer = slice(prefix + first[0], prefix + one)
    assert text.labels[0, answer].tolist() == chat.answer_ids(TURNS[0][1]) == text.ids[0, answer].tolist()
    assert set(text.labels[0, : prefix + first[0]].tolist()) == {IGNORE_INDEX}
    assert text.supervised_tokens == sum(len(chat.answer_ids(a)) for _, a in TURNS)


def test_the_shorter_row_is_padded_with_nothing_to_learn(tokenizer_of):
    chat = chat_format(tokenizer_of("qwen2"))
    text = pack(chat, [TURNS, TURNS[:1]], vision_tokens=1)
    pad = text.segments[1] == PAD_SEGMENT
    assert pad.any() and not (text.segments[0] == PAD_SEGMENT).any()
    assert set(text.labels[1, pad].tolist()) == {IGNORE_INDEX}
    assert not placeholder_mask(text.ids)[1, pad].any()


def test_a_panorama_without_a_question_is_refused(tokenizer_of):
    with pytest.raises(ValueError, match="without a question"):
        pack(chat_format(tokenizer_of("plain")), [[]], vision_tokens=1)


def test_the_mask_is_that_of_the_drawing():
    open_ = branch_mask(torch.tensor([[0, 0, 1, 1, 2, -1]]))[0, 0].int().tolist()
    assert open_ == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_packed_questions_give_the_logits_of_separate_rows(language, vision):
    model, chat = language
    packed = logits(model, pack(chat, [TURNS], vision_tokens=SEES), vision)
    alone = torch.cat([logits(model, pack(chat, [[t]], vision_tokens=SEES), vision) for t in TURNS])
    assert packed.std() > 0.1
    torch.testing.assert_close(packed, alone, **TOLERANCE)


def test_a_question_does_not_see_its_neighbours(language, vision):
    model, chat = language
    before = pack(chat, [TURNS], vision_tokens=SEES)
    ids = before.ids.clone()
    second = (before.segments[0] == 2).nonzero()[:, 0]
    ids[0, second] = ids[0, second].flip(0)
    after = PackedText(ids, before.labels, before.positions, before.segments)
    owner = before.segments[0, 1:][before.labels[0, 1:] != IGNORE_INDEX]
    old, new = logits(model, before, vision), logits(model, after, vision)
    assert torch.equal(old[owner != 2], new[owner != 2])
    assert not torch.allclose(old[owner == 2], new[owner == 2])


def test_every_question_sees_the_vision_tokens(language, vision):
    model, chat = language
    text = pack(chat, [TURNS], vision_tokens=SEES)
    old, new = logits(model, text, vision), logits(model, text, vision.flip(0))
    assert ((old - new).abs().amax(dim=1) > 1e-3).all()


def test_padding_changes_no_logit(language, vision):
    model, chat = language
    alone = logits(model, pack(chat, [TURNS[:1]], vision_tokens=SEES), vision)
    batch = logits(model, pack(chat, [TURNS[:1], TURNS], vision_tokens=SEES), vision)
    torch.testing.assert_close(batch[: len(alone)], alone, **TOLERANCE)


@pytest.mark.parametrize("seed", range(5))
def test_batches_hold_everything_once_within_the_budget_and_are_few(seed):
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(50, 900, (64,), generator=random).tolist()
    batches = first_fit_decreasing(lengths, budget=2000)
    assert sorted(i for batch in batches for i in batch) == list(range(64))
    assert all(sum(lengths[i] for i in batch) <= 2000 for batch in batches)
    assert len(batches) <= 11 / 9 * -(-sum(lengths) // 2000) + 4
    assert batches == first_fit_decreasing(lengths, budget=2000) == sorted(sorted(batch) for batch in batches)


def test_what_exceeds_the_budget_stands_alone():
    assert first_fit_decreasing([30, 4, 5], budget=10) == [[0], [1, 2]]
    with pytest.raises(ValueError, match="a batch of 0 tokens holds nothing"):
        first_fit_decreasing([1], budget=0)
