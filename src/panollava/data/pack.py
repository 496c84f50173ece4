"""Pack one panorama and its questions: one shared prefix, isolated branches.

::

    ids        head  P P P P | q1 q1 a1 a1 | q2 q2 q2 a2 |  pad
    segment     0    0 0 0 0 | 1  1  1  1  | 2  2  2  2  |  -1
    position    0    1 2 3 4 | 5  6  7  8  | 5  6  7  8  |   0
    attends to: everything earlier of segment 0 and of its own segment, nothing else

So k questions on one panorama cost one prefix instead of k, and give the same logits as k separate rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from panollava.text.chat import IGNORE_INDEX, PLACEHOLDER_ID, ChatFormat

PAD_SEGMENT = -1


@dataclass(frozen=True, slots=True)
class PackedText:
    """The token side of a batch of panoramas.

    Attributes:
        ids: Token ids; ``PLACEHOLDER_ID`` where a vision token goes, 0 where padded.
        labels: The ids to predict at the same place, ``IGNORE_INDEX`` elsewhere.
        positions: Position of each token in its own conversation.
        segments: 0 for the prefix, k for branch k, ``PAD_SEGMENT`` for padding.
    """

    ids: Int[Tensor, "b t"]
    labels: Int[Tensor, "b t"]
    positions: Int[Tensor, "b t"]
    segments: Int[Tensor, "b t"]

    def to(self, device: torch.device) -> "PackedText":
        """Return the same batch on another device."""
        return PackedText(*(getattr(self, f).to(device) for f in ("ids", "labels", "positions", "segments")))

    @property
    def supervised_tokens(self) -> int:
        """Number of labels that count in the loss."""
        return int((self.labels != IGNORE_INDEX).sum())


def pack(
    chat: ChatFormat,
    conversations: Sequence[Sequence[tuple[str, str]]],
    *,
    vision_tokens: int,
) -> PackedText:
    """Pack, per panorama, its (query, answer) pairs behind one prefix.

    Args:
        chat: The tokenizer's chat layout.
        conversations: For each panorama its (query, answer) pairs.
        vision_tokens: Placeholders per panorama; 0 packs text-only conversations.

    Raises:
        ValueError: If a panorama has no question.
    """
    rows = [_pack_one(chat, pairs, vision_tokens=vision_tokens) for pairs in conversations]
    width = max(len(row[0]) for row in rows)
    fills = (0, IGNORE_INDEX, 0, PAD_SEGMENT)
    columns = [torch.tensor([row[k] + [fill] * (width - len(row[k])) for row in rows]) for k, fill in enumerate(fills)]
    return PackedText(*columns)


def _pack_one(
    chat: ChatFormat, pairs: Sequence[tuple[str, str]], *, vision_tokens: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    if not pairs:
        raise ValueError("a panorama without a question cannot be packed")
    prefix = chat.prefix_ids(vision_tokens)
    ids, labels = list(prefix), [IGNORE_INDEX] * len(prefix)
    positions, segments = list(range(len(prefix))), [0] * len(prefix)
    for number, (query, answer) in enumerate(pairs, start=1):
        question = chat.question_ids(query, after_vision=vision_tokens > 0)
        said = chat.answer_ids(answer)
        ids += question + said
        labels += [IGNORE_INDEX] * len(question) + said
        positions += range(len(prefix), len(prefix) + len(question) + len(said))
        segments += [number] * (len(question) + len(said))
    return ids, labels, positions, segments


def branch_mask(segments: Int[Tensor, "b t"]) -> Bool[Tensor, "b 1 t t"]:
    """Return which token may attend to which: causal, within the prefix and the token's own branch.

    A padded token attends to itself only, so that no row of the mask is empty (an empty softmax is NaN).
    """
    length = segments.shape[1]
    here, there = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    open_ = causal & ((there == 0) | (there == here)) & (there != PAD_SEGMENT) & (here != PAD_SEGMENT)
    return (open_ | torch.eye(length, dtype=torch.bool, device=segments.device))[:, None]


def first_fit_decreasing(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Return which conversations share a batch, so that few batches hold at most ``budget`` tokens each.

    The longest is placed first, each into the first batch with room (Johnson 1973: at most 11/9 of the least number of
    batches, and 4). The result depends on nothing but the arguments; batches are ordered by their first member.

    Args:
        lengths: Tokens of each conversation; one longer than the budget gets a batch of its own.
        budget: Tokens of a batch.

    Raises:
        ValueError: If the budget is below 1.

    Example:
        >>> first_fit_decreasing([5, 7, 3, 2], budget=10)
        [[0, 3], [1, 2]]
    """
    if budget < 1:
        raise ValueError(f"a batch of {budget} tokens holds nothing; give a budget of 1 or more")
    batches: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = next((n for n, free in enumerate(room) if free >= lengths[index]), None)
        if place is None:
            batches.append([])
            room.append(budget)
            place = len(batches) - 1
        batches[place].append(index)
        room[place] -= lengths[index]
    return sorted(sorted(batch) for batch in batches)


def near_mask(positions: Int[Tensor, "b t"], *, window: int) -> Bool[Tensor, "b 1 t t"]:
    """Return which token is less than ``window`` positions before which: what sliding attention lets it see."""
    return (positions[:, :, None] - positions[:, None, :] < window)[:, None]


def placeholder_mask(ids: Int[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
    """Return where vision tokens go."""
    return ids == PLACEHOLDER_ID
