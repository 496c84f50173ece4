"""What a study's statistics are made of: the scores of a run, and for each a row of figures per image.

    predictions.csv -> items -> metrics -> totals per image

Questions with a short answer give the accuracy; captions, or every answer where a test has none, the caption metrics
that the run asked for; likelihoods, where the file has them, the perplexity. A metric that cannot be computed here
(it needs Java, or weights) keeps the value of ``metrics.json``, which has no figures of single images: such a score is
shown and not tested.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from panollava.data.manifest import Sample
from panollava.evaluation.report_scores import CaptionScore, ModelScores
from panollava.evaluation.score import is_question
from panollava.metrics.accuracy import exact_match
from panollava.metrics.bootstrap import by_cluster
from panollava.metrics.items import Items, group_rows
from panollava.metrics.metric import Floats, Totals, mean_totals
from panollava.metrics.predictions import read_predictions
from panollava.metrics.result import MetricResult
from panollava.metrics.suite import METRICS, score_items

ACCURACY = "accuracy"
PERPLEXITY = "perplexity_corpus"
_AGREE = 1e-6


@dataclass(frozen=True, slots=True)
class Scored:
    """One score of one run.

    Attributes:
        name: the key, such as "accuracy" or "cider".
        label: the name in tables.
        value: the score; None where it is missing.
        higher_is_better: its direction.
        signature: what must be equal for a comparison.
        reason: why the value is missing, or why no images stand behind it.
        questions: a hash over what was asked, with references; equal in runs that can be paired.
        concerned: the same over the questions that have a figure. A mean error leaves out answers that cannot be read,
            and those are others in every run.
        totals: what the score is made of, one row per image that it concerns; None where that is not known.
    """

    name: str
    label: str
    value: float | None
    higher_is_better: bool = True
    signature: str = ""
    reason: str = ""
    questions: str = ""
    concerned: str = ""
    totals: Totals | None = None


def run_figures(
    path: Path, samples: Sequence[Sample], told: ModelScores, *, tokenizer: str | None
) -> dict[str, Scored]:
    """Return the scores of a run by name, accuracy first.

    Args:
        path: its predictions.csv.
        samples: the same file's rows.
        told: the model's scores in its metrics.json.
        tokenizer: ``evaluation.tokenizer`` of the run.

    Raises:
        DataError: the file cannot be read.
        MetricError: its rows cannot be scored.
    """
    found = {}
    asked = [sample for sample in samples if is_question(sample)]
    captioned = [sample for sample in samples if not is_question(sample)] or list(samples)
    if asked:
        found[ACCURACY] = _agreeing(accuracy_of(asked), told.accuracy)
    items = _items(captioned)
    names = [score.name for score in told.captions if score.name in METRICS and score.value is not None]
    results = {r.name: r for r in score_items(items, metrics=names, tokenizer=tokenizer).results} if names else {}
    for score in told.captions:
        found[score.name] = _caption(score, results.get(score.name), items)
    return {**found, **_perplexity(path)}


def accuracy_of(asked: Sequence[Sample]) -> Scored:
    """Return the accuracy over questions with a short answer, at least one."""
    correct = exact_match([s.prediction or "" for s in asked], [[s.answer or ""] for s in asked])
    keys = [(s.image_id, s.query, s.answer or "") for s in asked]
    signature = "exact_match|case:lc|norm:articles-numbers"
    plain = Scored(ACCURACY, "accuracy", float(correct.mean()), signature=signature)
    return _with_images(plain, mean_totals(correct), keys)


def _items(captioned: Sequence[Sample]) -> Items:
    """Return what the run itself scored with caption metrics (``evaluation.score``)."""
    return group_rows(
        [s.prediction or "" for s in captioned],
        [s.answer or "" for s in captioned],
        images=[str(s.image) for s in captioned],
        queries=[s.query for s in captioned],
    )


def _caption(score: CaptionScore, result: MetricResult | None, items: Items) -> Scored:
    label = METRICS[score.name].label if score.name in METRICS else score.name
    plain = Scored(score.name, label, score.value, score.higher_is_better, score.signature, score.reason)
    if score.value is None:
        return plain
    if result is None or result.value is None or result.totals is None:
        reason = result.reason if result is not None and result.reason else "no figures of single images"
        return replace(plain, reason=reason)
    keys = [(i, q, *r) for i, q, r in zip(items.images, items.queries, items.references, strict=True)]
    return _agreeing(_with_images(replace(plain, value=result.value), result.totals, keys), score.value)


def _agreeing(anew: Scored, told: float | None) -> Scored:
    """Return a score as it was computed anew, or without figures of images where the run told another."""
    if anew.value is None or (told is not None and abs(anew.value - told) <= _AGREE * max(1.0, abs(told))):
        return anew
    run = "none" if told is None else f"{told:.6f}"
    reason = f"computed anew from predictions.csv it is {anew.value:.6f}, and metrics.json says {run}"
    return replace(anew, value=told, reason=reason, totals=None)


def _perplexity(path: Path) -> Mapping[str, Scored]:
    """Return the perplexity, if the file has likelihoods; it is compared only where words are cut into equal tokens."""
    predictions = read_predictions(path)
    if not {"nll", "tokens"} <= predictions.cells.keys() or not all(predictions.cells["nll"]):
        return {}
    items = predictions.items()
    result = score_items(items, metrics=[PERPLEXITY])[PERPLEXITY]
    if result.value is None or result.totals is None:
        return {}
    keys = [(i, q, *t) for i, q, t in zip(items.images, items.queries, items.cells["tokens"], strict=True)]
    label, signature = METRICS[PERPLEXITY].label, result.signature
    plain = Scored(PERPLEXITY, label, result.value, higher_is_better=False, signature=signature)
    return {PERPLEXITY: _with_images(plain, result.totals, keys)}


def _with_images(plain: Scored, totals: Totals, keys: Sequence[tuple[str, ...]]) -> Scored:
    """Return a score with one row per image, and what must be equal in runs that are paired.

    Args:
        plain: the score.
        totals: what it is made of, one row per question.
        keys: per question its image, its query and the references.
    """
    there = np.any(totals.rows != 0, axis=1)
    concerned = [key for key, has_figure in zip(keys, there, strict=True) if has_figure]
    by_image = _by_image(totals, [key[0] for key in keys])
    return replace(plain, questions=_digest(keys), concerned=_digest(concerned), totals=by_image)


def _by_image(totals: Totals, images: Sequence[str]) -> Totals:
    """Return one row per image that the metric concerns, images in alphabetical order."""
    order = {image: place for place, image in enumerate(sorted(set(images)))}
    rows: Floats = by_cluster(totals.rows, np.array([order[image] for image in images], dtype=np.int64))
    return Totals(rows[np.any(rows != 0, axis=1)], totals.value)


def _digest(keys: Sequence[tuple[str, ...]]) -> str:
    text = "\x1e".join("\x1f".join(key) for key in sorted(keys))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]
