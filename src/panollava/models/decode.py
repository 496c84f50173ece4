"""Answers to many questions that share their prefixes, greedy or sampled: each prefix is read once.

::

    prefix of panorama 0  |P P P P P|  --> keys and values, read once, kept once
        question 0a                |. q q q|a a a        rows of one batch: left-padded questions
        question 0b                |q q q q|a            behind the keys and values of their panorama
    prefix of panorama 1  |P P P P P|
        question 1a                |. . q q|a a

Sixteen questions on one panorama cost one prefix instead of sixteen. Padding is masked and has no position, so an
answer does not depend on the other rows of its batch. Neither does a sampled one: token i of an answer is drawn by a
number that is a function of (seed of the question, i), and of nothing else.
"""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from panollava.models.attention import PACKED
from panollava.models.decode_attention import BranchReader, read_prefixes
from panollava.models.language import LanguageModel


class Reader(Protocol):
    """Reads more tokens of every row of a batch, behind those that it has read."""

    def __call__(
        self, embedded: Float[Tensor, "b s d"], positions: Int[Tensor, "b s"], real: Bool[Tensor, "b s"]
    ) -> Float[Tensor, "b d"]:
        """Return the hidden state of the last token of each row; ``real`` is False for padding."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw tokens from all of the vocabulary.

    Attributes:
        temperature: Above 0; the logits are divided by it.
        seeds: One per question.
    """

    temperature: float
    seeds: Sequence[int]


@torch.no_grad()
def decode(
    language: LanguageModel,
    prefixes: Float[Tensor, "p n d"],
    questions: Sequence[tuple[int, list[int]]],
    *,
    stop_id: int,
    max_new_tokens: int,
    batch_size: int,
    places: Int[Tensor, " n"] | None = None,
    sampling: Sampling | None = None,
) -> list[list[int]]:
    """Return the ids of the answer to each question, without the stop token.

    Args:
        language: The language model.
        prefixes: Embeddings of the prefix of each panorama, all of one length.
        questions: (row of ``prefixes``, ids of the question) pairs.
        stop_id: Id that ends an answer.
        max_new_tokens: Longest answer.
        batch_size: Questions that are answered together.
        places: Positions of the prefix in the language model; None where they count up from 0.
        sampling: How to draw tokens; None: the likeliest one each.
    """
    shares = language.model.config._attn_implementation == PACKED and prefixes.shape[1] > 0
    make = _SharedReader if shares else _CachedReader
    read = make.read(language, prefixes, places)
    answers: list[list[int]] = []
    for start in range(0, len(questions), batch_size):
        chunk = questions[start : start + batch_size]
        rows = [ids for _, ids in chunk]
        room = max(map(len, rows)) + max_new_tokens
        reader = make(language, read, [row for row, _ in chunk], room=room)
        pick = _pick(sampling, start, len(chunk))
        answers += _answer(language, reader, pick, rows, prefixes.shape[1], stop_id=stop_id, limit=max_new_tokens)
    return answers


class _SharedReader:
    """Keeps the keys of a prefix once for all of its rows."""

    def __init__(self, language: LanguageModel, read: Any, owners: list[int], *, room: int) -> None:
        self.model, self.branches = language.model, BranchReader(read, owners, room=room)

    @staticmethod
    def read(language: LanguageModel, prefixes: Float[Tensor, "p n d"], places: Int[Tensor, " n"] | None) -> Any:
        return read_prefixes(language.model, prefixes, places)

    def __call__(self, embedded: Tensor, positions: Tensor, real: Tensor) -> Tensor:
        self.branches.advance(positions, real)
        hidden: Tensor = self.model.base_model(
            inputs_embeds=embedded,
            attention_mask=embedded.new_zeros(1, 1, 1, 1),  # unread: the branches have their own masks
            position_ids=positions,
            use_cache=False,
            packed=self.branches,
        ).last_hidden_state
        return hidden[:, -1]


class _CachedReader:
    """Copies the keys of a prefix to each of its rows, for architectures whose attention is their own."""

    def __init__(self, language: LanguageModel, read: Any, owners: list[int], *, room: int) -> None:  # noqa: ARG002
        self.model, self.cache = language.model, copy.deepcopy(read)
        self.cache.batch_select_indices(torch.tensor(owners, device=language.model.device))
        self.mask = torch.ones(len(owners), int(read.get_seq_length()), dtype=torch.long, device=language.model.device)

    @staticmethod
    def read(language: LanguageModel, prefixes: Float[Tensor, "p n d"], places: Int[Tensor, " n"] | None) -> Any:
        positions = None if places is None else places.expand(len(prefixes), -1)
        # a mask: without one, Hugging Face takes a jump of the positions for the start of another text
        mask = torch.ones(prefixes.shape[:2], dtype=torch.long, device=prefixes.device)
        return language.model.base_model(
            inputs_embeds=prefixes, attention_mask=mask, position_ids=positions, use_cache=True
        ).past_key_values

    def __call__(self, embedded: Tensor, positions: Tensor, real: Tensor) -> Tensor:
        self.mask = torch.cat([self.mask, real.long()], dim=1)
        hidden: Tensor = self.model.base_model(
            inputs_embeds=embedded,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return hidden[:, -1]


class Pick(Protocol):
    """Chooses the next token of every row of a batch."""

    def __call__(self, logits: Float[Tensor, "b vocab"], *, step: int) -> Int[Tensor, "b 1"]:
        """Return the tokens; ``step`` counts those of an answer from 0."""
        ...


def _pick(sampling: Sampling | None, start: int, count: int) -> Pick:
    """Return how the rows of a batch, the questions from ``start``, choose their tokens."""
    if sampling is None:
        return lambda logits, *, step: logits.argmax(dim=-1, keepdim=True)  # noqa: ARG005
    temperature, seeds = sampling.temperature, sampling.seeds[start : start + count]

    def draw(logits: Tensor, *, step: int) -> Tensor:
        exact = torch.float32 if logits.device.type == "mps" else torch.float64  # MPS has no wider type
        heights = (logits.to(exact) / temperature).softmax(dim=-1).cumsum(dim=-1)
        marks = torch.tensor([[uniform(seed, step)] for seed in seeds], dtype=exact, device=logits.device)
        found = torch.searchsorted(heights, marks * heights[:, -1:], right=True)
        return found.clamp(max=logits.shape[-1] - 1)

    return draw


def uniform(seed: int, step: int) -> float:
    """Return a number in [0, 1) that is a function of (seed, step) on every machine.

    Example:
        >>> uniform(1, 0) == uniform(1, 0) != uniform(1, 1)
        True
    """
    digest = hashlib.sha256(f"{seed} {step}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def _answer(
    language: LanguageModel,
    reader: Reader,
    pick: Pick,
    questions: list[list[int]],
    prefix: int,
    *,
    stop_id: int,
    limit: int,
) -> list[list[int]]:
    device = language.model.device
    width = max(len(ids) for ids in questions)
    pads = torch.tensor([width - len(ids) for ids in questions], device=device)
    ids = torch.tensor([[0] * (width - len(q)) + q for q in questions], device=device)
    place = torch.arange(width, device=device)
    real = place >= pads[:, None]
    positions = prefix + (place - pads[:, None]).clamp(min=0)
    said: list[list[int]] = [[] for _ in questions]
    open_rows = set(range(len(questions)))
    for step in range(limit):
        hidden = reader(language.embed(ids), positions, real)
        ids = pick(language.head(hidden), step=step)
        for row, token in enumerate(ids[:, 0].tolist()):
            if row in open_rows and token == stop_id:
                open_rows.discard(row)
            elif row in open_rows:
                said[row].append(token)
        if not open_rows or step == limit - 1:
            break
        positions, real = positions[:, -1:] + 1, real.new_ones(len(questions), 1)
    return said
