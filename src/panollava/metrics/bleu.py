"""BLEU (Papineni et al. 2002) in its two official forms: sacrebleu's corpus BLEU-4 and COCO's BLEU-1..4.

They differ in tokenizer, smoothing and the treatment of short texts, so their values must not be mixed:
sacrebleu tokenises by itself (13a) and smooths ("exp"); COCO's takes lower-cased PTB tokens and does not.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError, MetricUnavailable, unknown_name

TOKENIZERS = (
    "13a",
    "intl",
    "char",
    "zh",
    "ko-mecab",
    "ja-mecab",
    "none",
)  # sacrebleu's that download nothing
ORDER = 4
_TINY, _SMALL = 1e-15, 1e-9  # pycocoevalcap adds these to numerators and denominators


@dataclass(frozen=True, slots=True)
class SacreBleu:
    """Corpus BLEU as sacrebleu computes it.

    Attributes:
        value: BLEU in 0..1 (sacrebleu prints 0..100).
        text: sacrebleu's own line, with precisions, brevity penalty and lengths.
        signature: sacrebleu's own signature.
    """

    value: float
    text: str
    signature: str


def sacrebleu_bleu4(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, tokenizer: str = "13a"
) -> SacreBleu:
    """Return sacrebleu's corpus BLEU-4, case kept; items may have different numbers of references.

    Args:
        predictions: one text per item, not tokenised.
        references: per item one or more non-empty texts.
        tokenizer: a tokenizer of sacrebleu: 13a, intl, char, zh, ko-mecab, ja-mecab, none.

    Raises:
        MetricError: The tokenizer is unknown to sacrebleu.
        MetricUnavailable: sacrebleu, or the package behind the tokenizer, is not installed.

    Example:
        >>> sacrebleu_bleu4(["a red chair stands here"], [["a red chair stands here"]]).value
        1.0
    """
    metric = sacrebleu_metric(tokenizer)
    width = max(len(group) for group in references)
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(width)]
    score = metric.corpus_score(list(predictions), streams)
    # exp(log(100)) is not exactly 100 in floating point, and a BLEU above 1 would look like a fault
    return SacreBleu(min(score.score / 100.0, 1.0), str(score), str(metric.get_signature()))


def sacrebleu_metric(tokenizer: str):  # type: ignore[no-untyped-def]  # noqa: ANN201  (lazy import)
    """Return ``sacrebleu.metrics.BLEU`` with the tokenizer; errors as in ``sacrebleu_bleu4``."""
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise MetricUnavailable(
            "BLEU needs the package 'sacrebleu'. Run ./install_eval_metrics.sh, or pip install sacrebleu."
        ) from error
    if tokenizer not in TOKENIZERS:
        raise MetricError(unknown_name("tokenizer", tokenizer, TOKENIZERS))
    try:
        return BLEU(tokenize=tokenizer, force=True)
    except (ImportError, RuntimeError) as error:
        raise MetricUnavailable(
            f"sacrebleu's tokenizer '{tokenizer}' cannot start: {' '.join(str(error).split())}"
        ) from error


def coco_bleu(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[list[float], NDArray[np.float64]]:
    """Return COCO's BLEU-1..4: corpus values, and an (items, 4) array of values per item.

    The reference length of an item is the closest to the prediction's, the shorter one on a tie.

    Args:
        predictions: tokens of each prediction, lower-cased PTB in COCO evaluation.
        references: per item one or more token lists.

    Example:
        >>> coco_bleu(["a red chair".split()], [["a red chair".split()]])[0][0] > 0.999
        True
    """
    per_item = np.zeros((len(predictions), ORDER))
    total = _Counts([0] * ORDER, [0] * ORDER, 0, 0)
    for item, (prediction, group) in enumerate(zip(predictions, references, strict=True)):
        counts = _count(prediction, group)
        per_item[item] = _bleus(counts)
        total = _Counts(
            [a + b for a, b in zip(total.correct, counts.correct, strict=True)],
            [a + b for a, b in zip(total.guess, counts.guess, strict=True)],
            total.length + counts.length,
            total.reference_length + counts.reference_length,
        )
    return _bleus(total), per_item


@dataclass(frozen=True, slots=True)
class _Counts:
    correct: list[int]  # clipped n-gram matches by order
    guess: list[int]  # n-grams of the prediction by order
    length: int
    reference_length: int


def _count(prediction: Sequence[str], group: Sequence[Sequence[str]]) -> _Counts:
    length = len(prediction)
    closest = min((abs(len(reference) - length), len(reference)) for reference in group)[1]
    most: dict[tuple[str, ...], int] = {}
    for reference in group:
        for gram, count in _ngrams(reference).items():
            most[gram] = max(most.get(gram, 0), count)
    correct = [0] * ORDER
    for gram, count in _ngrams(prediction).items():
        correct[len(gram) - 1] += min(most.get(gram, 0), count)
    guess = [max(0, length - order) for order in range(ORDER)]
    return _Counts(correct, guess, length, closest)


def _ngrams(tokens: Sequence[str]) -> Counter[tuple[str, ...]]:
    grams: Counter[tuple[str, ...]] = Counter()
    for order in range(1, ORDER + 1):
        grams.update(zip(*(tokens[start:] for start in range(order)), strict=False))
    return grams


def _bleus(counts: _Counts) -> list[float]:
    values, product = [], 1.0
    for order in range(ORDER):
        product *= (float(counts.correct[order]) + _TINY) / (float(counts.guess[order]) + _SMALL)
        values.append(product ** (1.0 / (order + 1)))
    ratio = (counts.length + _TINY) / (counts.reference_length + _SMALL)
    if ratio < 1:
        values = [value * math.exp(1 - 1 / ratio) for value in values]
    return values
