"""Scores of a set of answers: accuracy by kind, directions, caption metrics, perplexity."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panollava.data.manifest import Sample
from panollava.data.synthetic.questions import chance_levels
from panollava.evaluation.predict import Answers
from panollava.geometry import SECTORS8
from panollava.metrics import (
    Metric,
    accuracy_by_kind,
    direction_confusion,
    exact_match,
    group_rows,
    perplexity,
    score_items,
    sector_scores,
)
from panollava.metrics.bootstrap import bca_intervals, with_intervals
from panollava.metrics.metric import mean_totals

CAPTION_MARK = "caption"
OPEN_KIND = "open"


def score(
    answers: Answers,
    *,
    metrics: Sequence[str],
    tokenizer: str | None = None,
    custom: Mapping[str, Metric] = MappingProxyType({}),
    prepared: Mapping[str, Metric] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the scores of one model as the plain tree that ``metrics.json`` holds.

    Accuracy is that of questions with a short answer; captions and open questions are scored by caption metrics, or,
    where the set has none, every answer is. Intervals are of 95 %, from whole images drawn anew; None below ten images.

    Args:
        answers: Predictions with references and likelihoods.
        metrics: Names of caption metrics.
        tokenizer: One tokenizer for all of them; None: each one's official.
        custom: Metrics of the user's own by name; they are scored after the others.
        prepared: Metrics of ours with the models or settings they need, by name.
    """
    asked = [s for s in answers.samples if is_question(s)]
    told = [s for s in answers.samples if not is_question(s)] or answers.samples
    correct = exact_match([s.prediction or "" for s in asked], [[s.answer or ""] for s in asked])
    chance = chance_levels()
    found = accuracy_by_kind(correct, kinds=[s.kind for s in asked])
    intervals = _intervals(correct, asked, kinds=list(found))
    by_kind = {
        kind: {
            "accuracy": value.value,
            "count": value.count,
            "chance": chance.get(kind),
            "interval": intervals[kind],
        }
        for kind, value in found.items()
    }
    items = group_rows(
        [s.prediction or "" for s in told],
        [s.answer or "" for s in told],
        images=[str(s.image) for s in told],
        queries=[s.query for s in told],
    )
    names = [*metrics, *(name for name in custom if name not in metrics)]
    report = score_items(items, metrics=names, tokenizer=tokenizer, custom=custom, prepared=prepared)
    report = with_intervals(report, items=items)
    likelihood = perplexity(answers.nll, token_counts=answers.tokens)
    return {
        "accuracy": float(np.mean(correct)) if asked else None,
        "accuracy_interval": intervals[None],
        "questions": len(asked),
        "by_kind": by_kind,
        "direction8": _directions(asked),
        "captions": {
            r.name: {
                "value": r.value,
                "implementation": r.implementation,
                "signature": r.signature,
                "higher_is_better": r.higher_is_better,
                "reason": r.reason or None,
                "interval": None if r.interval is None else asdict(r.interval),
            }
            for r in report.results
        },
        "caption_items": report.items,
        "perplexity": {"corpus": likelihood.corpus, "per_text": likelihood.mean_per_text},
        "empty_predictions": sum(not (s.prediction or "").strip() for s in answers.samples),
    }


def _intervals(
    correct: Sequence[float] | NDArray[np.float64], asked: Sequence[Sample], *, kinds: Sequence[str]
) -> dict[str | None, dict[str, Any] | None]:
    """Return the 95 % BCa interval of the accuracy by kind, and over all at None; whole images are resampled."""
    if not asked:
        return {None: None}
    images: dict[str, int] = {}
    clusters = np.array([images.setdefault(str(s.image), len(images)) for s in asked])
    of_kind = np.array([s.kind for s in asked])
    right = np.asarray(correct, dtype=np.float64)
    totals = [mean_totals(right), *(mean_totals(np.where(of_kind == kind, right, np.nan)) for kind in kinds)]
    found = bca_intervals(totals, clusters=clusters)
    return {kind: None if each is None else asdict(each) for kind, each in zip((None, *kinds), found, strict=True)}


def is_question(sample: Sample) -> bool:
    """Whether a sample asks for a short answer that is right or wrong, not for a caption."""
    return not sample.kind.startswith(CAPTION_MARK) and sample.kind != OPEN_KIND


def _directions(asked: Sequence[Sample]) -> dict[str, Any] | None:
    """Return the confusion of eight directions and the soft score, or None where none was asked for."""
    rows = [s for s in asked if s.kind == "direction8"]
    if not rows:
        return None
    predictions, references = [s.prediction or "" for s in rows], [s.answer or "" for s in rows]
    confusion = direction_confusion(predictions, references=references, sectors=SECTORS8)
    soft = sector_scores(predictions, references=references, sectors=SECTORS8)
    return {"labels": list(SECTORS8), "confusion": confusion.tolist(), "soft": float(np.mean(soft))}
