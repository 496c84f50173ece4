"""Answer the questions of a test set, and measure how likely the references were.

What a sample gets does not depend on what is beside it: a panorama is encoded by itself, the references of its
questions are weighed together in an order of their own, a sampled answer is drawn by its own seed, and a greedy
one is decoded behind a mask. So batch sizes, the order of the samples, memory that runs out and a run that is
resumed change nothing (in 32 bits, but for two words that are likely to the last bits alike).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from panollava.config.schema import PanollavaConfig
from panollava.data.dataset import conversations
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.data.views import Tensors
from panollava.evaluation.journal import Journal
from panollava.inference.batch_size import BatchSize
from panollava.inference.session import answer_seed
from panollava.models.protocol import PanoramaBatch, PanoramaModel, ViewFeatures
from panollava.text.chat import IGNORE_INDEX

REFERENCES = 64
"""Most references of a panorama that are weighed in one pass, whose memory grows with the square of their number."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Predicted samples, and per sample the summed negative log-likelihood of its reference and its token count."""

    samples: list[Sample]
    nll: list[float]
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to one question; how likely its reference was, in nats over so many tokens."""

    said: str
    nll: float
    tokens: int


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
    journal: Journal | None = None,
) -> Answers:
    """Answer every sample; each panorama is encoded once, whatever the number of its questions.

    Args:
        model: The model, in evaluation mode.
        samples: Questions with references.
        cfg: Generation and evaluation settings.
        store: Encoder features; None for a blind model.
        progress: Called with (questions done, questions in all).
        journal: Keeps answers as they come; those that it holds are not asked for again.

    Raises:
        OutOfMemory: If memory is too small for one panorama or one question.
    """
    groups = group_by_image(samples)
    flat = [sample for group in groups for sample in group.samples]
    found: dict[int, Answer] = {row["sample"]: _read(row) for row in (journal.rows if journal else ())}
    ask = Asker(model, cfg, store)
    for first, batch in _batches(groups, cfg.evaluation.batch_size):
        size = sum(len(group.samples) for group in batch)
        if any(place not in found for place in range(first, first + size)):
            place = first
            for answers in ask.panoramas.each(batch, ask):
                found |= enumerate(answers, start=place)
                place += len(answers)
                if journal is not None:
                    journal.append(_row(at, found[at]) for at in range(place - len(answers), place))
        if progress is not None:
            progress(first + size, len(flat))
    said = [found[place] for place in range(len(flat))]
    return Answers(
        [replace(sample, prediction=one.said) for sample, one in zip(flat, said, strict=True)],
        [one.nll for one in said],
        [one.tokens for one in said],
    )


def predictions(
    model: PanoramaModel, samples: Sequence[Sample], cfg: PanollavaConfig, *, store: Features | None
) -> list[Sample]:
    """Answer every sample without weighing its reference; arguments as of `answer`."""
    ask = Asker(model, cfg, store, weigh=None)
    groups = group_by_image(samples)
    said = [one.said for answers in ask.panoramas.each(groups, ask) for one in answers]
    flat = [sample for group in groups for sample in group.samples]
    return [replace(sample, prediction=text) for sample, text in zip(flat, said, strict=True)]


def _batches(groups: Sequence[PanoramaSamples], size: int) -> Iterator[tuple[int, Sequence[PanoramaSamples]]]:
    """Yield batches of panoramas, the same however far a run was, each with the place of its first question."""
    first = 0
    for start in range(0, len(groups), size):
        batch = groups[start : start + size]
        yield first, batch
        first += sum(len(group.samples) for group in batch)


def _row(place: int, one: Answer) -> dict[str, Any]:
    return {"sample": place, "prediction": one.said, "nll": one.nll, "tokens": one.tokens}


def _read(row: dict[str, Any]) -> Answer:
    return Answer(row["prediction"], row["nll"], row["tokens"])


@dataclass(slots=True)
class Asker:
    """Answers batches of panoramas; where memory runs out, in smaller pieces, with the same answers.

    Attributes:
        weigh: What is weighed by the model: the references, its own answers, or nothing.
        panoramas, questions, references: How many are held together now.
    """

    model: PanoramaModel
    cfg: PanollavaConfig
    store: Features | None
    weigh: Literal["references", "answers"] | None = "references"
    panoramas: BatchSize = field(init=False)
    questions: BatchSize = field(init=False)
    references: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        self.panoramas = BatchSize(self.cfg.evaluation.batch_size, "panoramas")
        self.questions = BatchSize(self.cfg.generation.batch_size, "questions")
        self.references = BatchSize(REFERENCES, "references")

    def __call__(self, groups: Sequence[PanoramaSamples]) -> list[Answer]:
        """Return one answer per sample, panorama by panorama."""
        features = None if self.store is None else self._features(self.store, groups)
        rows = [(number, sample) for number, group in enumerate(groups) for sample in group.samples]
        said = self._generate(rows, features)
        weights = [(0.0, 0)] * len(rows)
        if self.weigh is not None:
            told = iter(said)
            weights = []
            for number, group in enumerate(groups):
                samples = [replace(s, answer=next(told)) if self.weigh == "answers" else s for s in group.samples]
                own = None if features is None else tuple(f[number : number + 1] for f in features)
                weights += self._weights(samples, own)
        return [Answer(text, nll, tokens) for text, (nll, tokens) in zip(said, weights, strict=True)]

    def _features(self, store: Features, groups: Sequence[PanoramaSamples]) -> ViewFeatures:
        """Encode one panorama at a time: beside others, a matrix product may differ in its last bits."""
        single = [store.get([group.image]) for group in groups]
        return tuple(torch.cat(parts).to(self.model.device) for parts in zip(*single, strict=True))

    def _generate(self, rows: Sequence[tuple[int, Sample]], features: ViewFeatures | None) -> list[str]:
        """Generate in batches of questions of like length, so that a short answer does not wait for a long one."""
        settings, seed = self.cfg.generation, self.cfg.generation.seed
        seed = self.cfg.experiment.seed if seed is None else seed
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][1].answer or ""))
        asked = [rows[i] for i in order]
        texts = self.questions.fit(
            lambda size: self.model.generate(
                features,
                [(number, sample.query) for number, sample in asked],
                max_new_tokens=settings.max_new_tokens,
                num_beams=settings.num_beams,
                temperature=settings.temperature,
                batch_size=size,
                seeds=[answer_seed(seed, image=s.image_id, question=s.query) for _, s in asked],
            ),
            most=len(rows),
        )
        said = dict(zip(order, texts, strict=True))
        return [said[i] for i in range(len(rows))]

    def _weights(self, samples: Sequence[Sample], features: ViewFeatures | None) -> list[tuple[float, int]]:
        """Return per sample of a panorama (negative log-likelihood of its answer, its tokens)."""
        order = sorted(range(len(samples)), key=lambda i: (samples[i].query, samples[i].answer or ""))
        ordered = [samples[i] for i in order]
        pieces = self.references.each(ordered, lambda piece: _likelihood(self.model, piece, features))
        weights = dict(zip(order, (weight for piece in pieces for weight in piece), strict=True))
        return [weights[i] for i in range(len(samples))]


@torch.no_grad()
def _likelihood(
    model: PanoramaModel, samples: Sequence[Sample], features: ViewFeatures | None
) -> list[tuple[float, int]]:
    """Return per sample of one panorama the negative log-likelihood of its reference (nats) and its tokens."""
    text = model.pack(conversations([samples])).to(model.device)
    logits, labels = model.supervised_logits(PanoramaBatch(features, text))
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    owner = (text.segments[:, 1:] - 1)[text.labels[:, 1:] != IGNORE_INDEX]
    nll = torch.zeros(len(samples), device=loss.device).index_add(0, owner, loss)
    counts = torch.zeros(len(samples), dtype=torch.long, device=loss.device).index_add(0, owner, torch.ones_like(owner))
    return list(zip(nll.tolist(), counts.tolist(), strict=True))
