"""Two ways to train on the same rows: the usual loop, and panollava's.

The usual loop is what LLaVA, TinyLLaVA and the code that panollava replaces do: a row is one question with its answer,
its views are encoded in the step, rows are padded on the right, the language model returns logits of every position,
and the loss is Hugging Face's. It is written here as plainly as it reads there, with what they do well: frozen parts
have no gradients, and the frozen encoder runs without a graph.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from panollava.data.views import stacked_views
from panollava.models.protocol import PanoramaBatch
from panollava.text.chat import IGNORE_INDEX, PLACEHOLDER_ID

Talk = list[tuple[str, str]]


def usual_step(model: Any, images: Sequence[Path], talks: Sequence[Talk], *, rows: int) -> tuple[float, int]:
    """Add up the gradients of one optimiser step, ``rows`` rows at a time; return summed loss and label count."""
    pairs = [(path, *pair) for path, talk in zip(images, talks, strict=True) for pair in talk]
    labelled = [_row(model, query, answer) for _, query, answer in pairs]
    every = sum(sum(label != IGNORE_INDEX for label in labels) for _, labels in labelled)
    total = 0.0
    for start in range(0, len(pairs), rows):
        chunk = labelled[start : start + rows]
        views = stacked_views([path for path, _, _ in pairs[start : start + rows]], model.layout)
        with torch.no_grad():
            features = model.encode(views)
        ids, labels, mask = _padded(chunk)
        words = model.language.embed(ids)
        places = ids == PLACEHOLDER_ID
        embedded = words.masked_scatter(places[..., None], model.vision_tokens(features).to(words.dtype))
        out = model.language.model(inputs_embeds=embedded, attention_mask=mask, labels=labels, use_cache=False)
        count = int((labels[:, 1:] != IGNORE_INDEX).sum())
        (out.loss * count / every).backward()
        total += float(out.loss.detach()) * count
    return total, every


def _row(model: Any, query: str, answer: str) -> tuple[list[int], list[int]]:
    chat = model.chat
    prompt = chat.prefix_ids(model.token_count) + chat.question_ids(query)
    said = chat.answer_ids(answer)
    return prompt + said, [IGNORE_INDEX] * len(prompt) + said


def _padded(rows: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    width = max(len(ids) for ids, _ in rows)
    fill = lambda values, pad: values + [pad] * (width - len(values))  # noqa: E731
    ids = torch.tensor([fill(ids, 0) for ids, _ in rows])
    labels = torch.tensor([fill(labels, IGNORE_INDEX) for _, labels in rows])
    return ids, labels, torch.tensor([fill([1] * len(ids), 0) for ids, _ in rows])


def our_step(model: Any, images: Sequence[Path], talks: Sequence[Talk], *, store: Any) -> tuple[float, int]:
    """Add up the gradients of one optimiser step as a stage does; return summed loss and label count."""
    batch = PanoramaBatch(store.get(images), model.pack(talks))
    answer = model.loss(batch)
    answer.loss.backward()
    return float(answer.loss.detach()) * answer.tokens, answer.tokens
