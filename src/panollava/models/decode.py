"""Greedy answers to many questions that share their prefixes: each prefix is read once.

::

    prefix of panorama 0  |P P P P P|  --> keys and values, read once
        question 0a                |. q q q|a a a        rows of one batch: left-padded questions behind
        question 0b                |q q q q|a            a copy of the keys and values of their panorama
    prefix of panorama 1  |P P P P P|
        question 1a                |. . q q|a a

Sixteen questions on one panorama cost one prefix instead of sixteen. Padding is masked and has no position, so an
answer does not depend on the other rows of its batch.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from panollava.models.language import LanguageModel


@torch.no_grad()
def greedy(
    language: LanguageModel,
    prefixes: Float[Tensor, "p n d"],
    questions: Sequence[tuple[int, list[int]]],
    *,
    stop_id: int,
    max_new_tokens: int,
    batch_size: int,
    positions: Int[Tensor, " n"] | None = None,
) -> list[list[int]]:
    """Return the ids of the greedy answer to each question, without the stop token.

    Args:
        language: The language model.
        prefixes: Embeddings of the prefix of each panorama, all of one length.
        questions: (row of ``prefixes``, ids of the question) pairs.
        stop_id: Id that ends an answer.
        max_new_tokens: Longest answer.
        batch_size: Questions that are answered together.
        positions: Positions of the prefix, where they do not count up from 0; those of a question count on from n.
    """
    placed = None if positions is None else positions.expand(len(prefixes), -1)
    seen = None if positions is None else torch.ones_like(placed)  # else jumps would read as packed sequences
    read = language.model.base_model(
        inputs_embeds=prefixes, attention_mask=seen, position_ids=placed, use_cache=True
    ).past_key_values
    answers: list[list[int]] = []
    for start in range(0, len(questions), batch_size):
        chunk = questions[start : start + batch_size]
        cache = copy.deepcopy(read)
        cache.batch_select_indices(torch.tensor([row for row, _ in chunk], device=prefixes.device))
        answers += _answer(
            language, cache, [ids for _, ids in chunk], prefixes.shape[1], stop_id=stop_id, limit=max_new_tokens
        )
    return answers


def _answer(
    language: LanguageModel, cache: object, questions: list[list[int]], prefix: int, *, stop_id: int, limit: int
) -> list[list[int]]:
    device = language.model.device
    width = max(len(ids) for ids in questions)
    pads = torch.tensor([width - len(ids) for ids in questions], device=device)
    ids = torch.tensor([[0] * (width - len(q)) + q for q in questions], device=device)
    place = torch.arange(width, device=device)
    mask = torch.cat(
        [torch.ones(len(questions), prefix, device=device), (place >= pads[:, None]).float()], dim=1
    ).long()
    positions = prefix + (place - pads[:, None]).clamp(min=0)
    said: list[list[int]] = [[] for _ in questions]
    open_rows = set(range(len(questions)))
    for step in range(limit):
        hidden = language.model.base_model(
            inputs_embeds=language.embed(ids),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        ids = language.head(hidden[:, -1]).argmax(dim=-1, keepdim=True)
        for row, token in enumerate(ids[:, 0].tolist()):
            if row in open_rows and token == stop_id:
                open_rows.discard(row)
            elif row in open_rows:
                said[row].append(token)
        if not open_rows or step == limit - 1:
            break
        mask = torch.cat([mask, mask.new_ones(len(questions), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return said
