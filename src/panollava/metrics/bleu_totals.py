"""BLEU from sums of counts, for many resamples at once; the values are those of ``bleu.py`` to rounding."""

import numpy as np

from panollava.metrics.bleu import BleuCounts
from panollava.metrics.metric import Floats, Totals
from panollava.metrics.ngrams import ORDER

_TINY, _SMALL = 1e-15, 1e-9  # as in bleu.py


def sacrebleu_totals(counts: BleuCounts, *, order: int = ORDER) -> Totals:
    """Return what sacrebleu's corpus BLEU (smoothing "exp") is made of.

    Example:
        >>> from panollava.metrics.ngrams import NgramTable
        >>> totals = sacrebleu_totals(BleuCounts.of(NgramTable.of([["a", "b"]], [[["a", "b"]]])), order=2)
        >>> totals.value(totals.rows).round(6).tolist()
        [1.0]
    """
    return Totals(_rows(counts), lambda sums: _sacrebleu(sums, order))


def coco_totals(counts: BleuCounts, *, order: int = ORDER) -> Totals:
    """Return what COCO's corpus BLEU is made of.

    Example:
        >>> from panollava.metrics.ngrams import NgramTable
        >>> totals = coco_totals(BleuCounts.of(NgramTable.of([["a", "b"]], [[["a", "c"]]])), order=1)
        >>> totals.value(totals.rows).round(6).tolist()
        [0.5]
    """
    return Totals(_rows(counts), lambda sums: _coco(sums, order))


def _rows(counts: BleuCounts) -> Floats:
    figures = (counts.correct, counts.total, counts.length[:, None], counts.reference_length[:, None])
    return np.hstack(figures).astype(np.float64)


def _sacrebleu(sums: Floats, order: int) -> Floats:
    length, reference_length = sums[:, 2 * ORDER], sums[:, 2 * ORDER + 1]
    halving = np.ones(len(sums))
    logs = np.zeros(len(sums))
    for n in range(order):
        correct, total = sums[:, n], sums[:, ORDER + n]
        halving = np.where(correct > 0, halving, halving * 2)
        matched = np.where(correct > 0, correct, 1 / halving)
        logs += np.log(matched / np.maximum(total, 1)) + np.where(total > 0, 0.0, -np.inf)
    brevity = np.minimum(0.0, 1 - reference_length / np.maximum(length, 1))
    return np.where(sums[:, :order].any(axis=1) & (length > 0), np.minimum(np.exp(brevity + logs / order), 1.0), 0.0)


def _coco(sums: Floats, order: int) -> Floats:
    precision = (sums[:, :order] + _TINY) / (sums[:, ORDER : ORDER + order] + _SMALL)
    ratio = (sums[:, 2 * ORDER] + _TINY) / (sums[:, 2 * ORDER + 1] + _SMALL)
    brevity = np.minimum(0.0, 1 - 1 / ratio)
    value: Floats = np.prod(precision, axis=1) ** (1 / order) * np.exp(brevity)
    return value
