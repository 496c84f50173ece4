"""BLEU (Papineni et al. 2002) in its two official forms: sacrebleu's corpus BLEU and COCO's, each of order 1 to 4.

They differ in tokenizer, smoothing and the treatment of short texts, so their values must not be mixed:
sacrebleu tokenises by itself (13a) and smooths ("exp"); COCO's takes lower-cased PTB tokens and does not.

Both come from the same counts, which add up over items (``BleuCounts``). With the tokenizer 13a sacrebleu's score,
line and signature are computed here and equal sacrebleu's own; with another tokenizer sacrebleu itself is called.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError, MetricUnavailable, unknown_name
from panollava.metrics.ngrams import ORDER, Captions, Ints, NgramTable
from panollava.metrics.signature import reference_count
from panollava.metrics.tokens_13a import tokens_13a

TOKENIZERS = (
    "13a",
    "intl",
    "char",
    "zh",
    "ko-mecab",
    "ja-mecab",
    "none",
)  # sacrebleu's that download nothing
SACREBLEU_VERSION = "2.6.0"  # the sacrebleu that the code here is held to
_TINY, _SMALL = 1e-15, 1e-9  # pycocoevalcap adds these to numerators and denominators


@dataclass(frozen=True, slots=True)
class BleuCounts:
    """What BLEU is computed from, per item; for a corpus, or a resample of its items, the rows are added up.

    Attributes:
        correct: (items, 4), n-grams of the prediction that a reference has too, each as often as in one reference.
        total: (items, 4), n-grams of the prediction.
        length: tokens of the prediction.
        reference_length: tokens of the reference nearest in length, the shorter one on a tie.
    """

    correct: Ints
    total: Ints
    length: Ints
    reference_length: Ints

    @classmethod
    def of(cls, table: NgramTable) -> "BleuCounts":
        """Count matches in a table of n-grams.

        Example:
            >>> counts = BleuCounts.of(NgramTable.of([["a", "a", "b"]], [[["a", "b"], ["b"]]]))
            >>> counts.correct.tolist(), counts.total.tolist(), counts.reference_length.tolist()
            ([[2, 1, 0, 0]], [[3, 2, 1, 0]], [2])
        """
        captions = table.captions
        items = len(captions.predicted)
        correct = np.zeros((items, ORDER), dtype=np.int64)
        for order, ngrams in enumerate(table.orders):
            most = np.zeros(len(ngrams.count), dtype=np.int64)
            shared = np.flatnonzero(ngrams.partner >= 0)
            np.maximum.at(most, ngrams.partner[shared], ngrams.count[shared])
            clipped = np.minimum(most, ngrams.count)
            correct[:, order] = np.bincount(captions.item[ngrams.caption], weights=clipped, minlength=items)
        length = captions.length[captions.predicted]
        total = np.maximum(length[:, None] - np.arange(ORDER), 0)
        return cls(correct, total, length, _closest(captions))

    def summed(self) -> "BleuCounts":
        """Return the counts of the whole corpus, as one row."""
        return BleuCounts(
            self.correct.sum(axis=0, keepdims=True),
            self.total.sum(axis=0, keepdims=True),
            self.length.sum(keepdims=True),
            self.reference_length.sum(keepdims=True),
        )


def _closest(captions: Captions) -> Ints:
    """Return per item the reference length nearest to the prediction's, the smaller one on a tie."""
    theirs = captions.length[captions.is_reference]
    ours = captions.length[captions.predicted][captions.item[captions.is_reference]]
    span = int(captions.length.max(initial=0)) + 1
    first = captions.predicted - np.arange(len(captions.predicted))
    key = np.abs(theirs - ours) * span + theirs
    return np.minimum.reduceat(key, first) % span if len(key) else key


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


def sacrebleu_bleu(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, order: int = ORDER, tokenizer: str = "13a"
) -> SacreBleu:
    """Return sacrebleu's corpus BLEU, case kept; items may have different numbers of references.

    Args:
        predictions: one text per item, not tokenised.
        references: per item one or more texts.
        order: the longest n-grams, 1 to 4 (sacrebleu's ``max_ngram_order``).
        tokenizer: a tokenizer of sacrebleu: 13a, intl, char, zh, ko-mecab, ja-mecab, none.

    Raises:
        MetricError: The tokenizer is unknown to sacrebleu; unequal lengths; an item without a reference.
        MetricUnavailable: sacrebleu, or the package behind the tokenizer, is not installed (not for 13a).

    Example:
        >>> sacrebleu_bleu(["a red chair stands here"], [["a red chair stood here"]], order=2).text
        'BLEU = 63.25 80.0/50.0 (BP = 1.000 ratio = 1.000 hyp_len = 5 ref_len = 5)'
    """
    if tokenizer != "13a":
        return _by_sacrebleu(predictions, references, order, tokenizer)
    said = tokens_13a(predictions)
    flat = iter(tokens_13a([text for group in references for text in group]))
    counts = BleuCounts.of(NgramTable.of(said, [[next(flat) for _ in group] for group in references]))
    return sacrebleu_of(counts, order=order, nrefs=reference_count(references))


def sacrebleu_of(counts: BleuCounts, *, order: int = ORDER, nrefs: str = "1") -> SacreBleu:
    """Return sacrebleu's corpus BLEU of counts over 13a tokens.

    Args:
        counts: of each item.
        order: the longest n-grams, 1 to 4.
        nrefs: references per item, for the signature.

    Example:
        >>> table = NgramTable.of(tokens_13a(["a b c d"]), [tokens_13a(["a b c d", "e"])])
        >>> sacrebleu_of(BleuCounts.of(table), nrefs="2").signature
        'nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0'
    """
    corpus = counts.summed()
    correct, total = corpus.correct[0, :order].tolist(), corpus.total[0, :order].tolist()
    length, reference_length = int(corpus.length[0]), int(corpus.reference_length[0])
    brevity = 1.0
    if length < reference_length:
        brevity = math.exp(1 - reference_length / length) if length else 0.0
    precisions = _smoothed(correct, total)
    score = 0.0
    if any(correct):
        logs = [math.log(p) if p else -9999999999 for p in precisions]
        score = brevity * math.exp(sum(logs) / order)
    ratio = length / reference_length if reference_length else 0
    text = (
        f"BLEU = {score:.2f} {'/'.join(f'{p:.1f}' for p in precisions)} (BP = {brevity:.3f}"
        f" ratio = {ratio:.3f} hyp_len = {length} ref_len = {reference_length})"
    )
    signature = f"nrefs:{nrefs}|case:mixed|eff:no|tok:13a|smooth:exp|version:{SACREBLEU_VERSION}"
    # exp(log(100)) is not exactly 100 in floating point, and a BLEU above 1 would look like a fault
    return SacreBleu(min(score / 100.0, 1.0), text, signature)


def _smoothed(correct: list[int], total: list[int]) -> list[float]:
    """Return precisions in per cent; the k-th one without a match counts as one match in 2^k times as many."""
    precisions, halving = [0.0] * len(total), 1.0
    for n, (right, guessed) in enumerate(zip(correct, total, strict=True)):
        if not any(correct) or not guessed:
            break
        if right:
            precisions[n] = 100.0 * right / guessed
        else:
            halving *= 2
            precisions[n] = 100.0 / (halving * guessed)
    return precisions


def _by_sacrebleu(
    predictions: Sequence[str], references: Sequence[Sequence[str]], order: int, tokenizer: str
) -> SacreBleu:
    metric = sacrebleu_metric(tokenizer, order=order)
    width = max(len(group) for group in references)
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(width)]
    score = metric.corpus_score(list(predictions), streams)
    return SacreBleu(min(score.score / 100.0, 1.0), str(score), str(metric.get_signature()))


def sacrebleu_metric(tokenizer: str, *, order: int = ORDER):  # type: ignore[no-untyped-def]  # noqa: ANN201  (lazy import)
    """Return ``sacrebleu.metrics.BLEU`` with the tokenizer; errors as in ``sacrebleu_bleu``."""
    if tokenizer not in TOKENIZERS:
        raise MetricError(unknown_name("tokenizer", tokenizer, TOKENIZERS))
    try:
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        raise MetricUnavailable(
            f"the tokenizer '{tokenizer}' needs the package 'sacrebleu'. Run ./install_eval_metrics.sh, or pip install"
            " sacrebleu."
        ) from error
    try:
        return BLEU(tokenize=tokenizer, force=True, max_ngram_order=order)
    except (ImportError, RuntimeError) as error:
        raise MetricUnavailable(
            f"sacrebleu's tokenizer '{tokenizer}' cannot start: {' '.join(str(error).split())}"
        ) from error


def coco_bleu(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[list[float], NDArray[np.float64]]:
    """Return COCO's BLEU-1..4: corpus values, and an (items, 4) array of values per item.

    Args:
        predictions: tokens of each prediction, lower-cased PTB in COCO evaluation.
        references: per item one or more token lists.

    Raises:
        MetricError: Unequal lengths, or an item without a reference.

    Example:
        >>> coco_bleu(["a red chair".split()], [["a red chair".split()]])[0][0] > 0.999
        True
    """
    counts = BleuCounts.of(NgramTable.of(predictions, references))
    return coco_bleu_of(counts.summed())[0].tolist(), coco_bleu_of(counts)


def coco_bleu_of(counts: BleuCounts) -> NDArray[np.float64]:
    """Return COCO's BLEU-1..4 of every row of counts, (rows, 4).

    Example:
        >>> counts = BleuCounts.of(NgramTable.of([["a", "b"]], [[["a", "c"]]]))
        >>> coco_bleu_of(counts)[0, :1].round(6).tolist()
        [0.5]
    """
    rows = zip(
        counts.correct.tolist(),
        counts.total.tolist(),
        counts.length.tolist(),
        counts.reference_length.tolist(),
        strict=True,
    )
    return np.array([_coco_row(*row) for row in rows], dtype=np.float64).reshape(-1, ORDER)


def _coco_row(correct: list[int], total: list[int], length: int, reference_length: int) -> list[float]:
    # Python's own pow and exp: NumPy's differ from them in the last bit on some processors
    values, product = [], 1.0
    for order in range(ORDER):
        product *= (correct[order] + _TINY) / (total[order] + _SMALL)
        values.append(product ** (1.0 / (order + 1)))
    ratio = (length + _TINY) / (reference_length + _SMALL)
    return [value * math.exp(1 - 1 / ratio) for value in values] if ratio < 1 else values
