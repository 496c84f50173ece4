"""Answer the questions of a test set, and measure how likely the references were."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from panollava.config.schema import PanollavaConfig
from panollava.data.dataset import conversations
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.data.views import Tensors
from panollava.models.protocol import PanoramaBatch, PanoramaModel
from panollava.text.chat import IGNORE_INDEX


@dataclass(frozen=True, slots=True)
class Answers:
    """Predicted samples, and per sample the summed negative log-likelihood of its reference and its token count."""

    samples: list[Sample]
    nll: list[float]
    tokens: list[int]


class Features(Protocol):
    """Where features of panoramas come from: a store, or an encoder that sees them otherwise than they are."""

    def get(self, paths: Sequence[Path]) -> Tensors:
        """Return the features of a batch of panoramas, one tensor per group of views."""
        ...


def answer(
    model: PanoramaModel,
    samples: Sequence[Sample],
    cfg: PanollavaConfig,
    *,
    store: Features | None,
    progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Answer every sample; each panorama is encoded once, whatever the number of its questions.

    Args:
        model: The model, in evaluation mode.
        samples: Questions with references.
        cfg: Generation and evaluation settings.
        store: Encoder features; None for a blind model.
        progress: Called with (questions done, questions in all).
    """
    done = Answers([], [], [])
    for chunk, features in _seen(model, samples, cfg, store):
        done.samples.extend(_generate(model, chunk, features, cfg))
        nll, tokens = _likelihood(model, chunk, features)
        done.nll.extend(nll)
        done.tokens.extend(tokens)
        if progress is not None:
            progress(len(done.samples), len(samples))
    return done


def predictions(
    model: PanoramaModel, samples: Sequence[Sample], cfg: PanollavaConfig, *, store: Features | None
) -> list[Sample]:
    """Answer every sample without weighing its reference; arguments as of `answer`."""
    return [s for chunk, features in _seen(model, samples, cfg, store) for s in _generate(model, chunk, features, cfg)]


def _seen(
    model: PanoramaModel, samples: Sequence[Sample], cfg: PanollavaConfig, store: Features | None
) -> Iterator[tuple[list[PanoramaSamples], tuple[torch.Tensor, ...] | None]]:
    """Yield batches of panoramas with their features; each panorama is encoded once."""
    groups, size = group_by_image(samples), cfg.evaluation.batch_size
    for start in range(0, len(groups), size):
        chunk = groups[start : start + size]
        if store is None:
            yield chunk, None
        else:
            yield chunk, tuple(f.to(model.device) for f in store.get([group.image for group in chunk]))


def _generate(
    model: PanoramaModel,
    groups: Sequence[PanoramaSamples],
    features: tuple[torch.Tensor, ...] | None,
    cfg: PanollavaConfig,
) -> list[Sample]:
    """Generate in batches of questions of like length, so that a short answer does not wait for a long one."""
    rows = [(index, sample) for index, group in enumerate(groups) for sample in group.samples]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][1].answer or ""))
    texts = model.generate(
        features,
        [(rows[i][0], rows[i][1].query) for i in order],
        max_new_tokens=cfg.generation.max_new_tokens,
        num_beams=cfg.generation.num_beams,
        temperature=cfg.generation.temperature,
        batch_size=cfg.generation.batch_size,
    )
    said = dict(zip(order, texts, strict=True))
    return [replace(sample, prediction=said[i]) for i, (_, sample) in enumerate(rows)]


@torch.no_grad()
def _likelihood(
    model: PanoramaModel, groups: Sequence[PanoramaSamples], features: tuple[torch.Tensor, ...] | None
) -> tuple[list[float], list[int]]:
    """Return per sample the negative log-likelihood of its reference (nats) and its number of tokens."""
    text = model.pack(conversations([group.samples for group in groups])).to(model.device)
    logits, labels = model.supervised_logits(PanoramaBatch(features, text))
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    wanted = text.labels[:, 1:] != IGNORE_INDEX
    branch = text.segments[:, 1:] - 1
    offsets = torch.tensor([sum(len(g.samples) for g in groups[:row]) for row in range(len(groups))])
    owner = (branch + offsets.to(branch)[:, None])[wanted]
    total = sum(len(group.samples) for group in groups)
    nll = torch.zeros(total, device=loss.device).index_add(0, owner, loss)
    counts = torch.zeros(total, dtype=torch.long, device=loss.device).index_add(0, owner, torch.ones_like(owner))
    return nll.tolist(), counts.tolist()
