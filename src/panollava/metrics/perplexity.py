"""Perplexity from summed negative log-likelihoods. Two definitions are in use; both are named here.

corpus   exp(sum of NLL / sum of tokens): every token weighs the same.
per text mean over texts of exp(NLL / tokens): every text weighs the same (Hugging Face ``evaluate``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from panollava.errors import MetricError


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Both perplexities of the same texts.

    Attributes:
        corpus: exp(sum of NLL / sum of tokens).
        mean_per_text: mean over texts of exp(NLL / tokens).
        tokens: how many tokens were scored.
    """

    corpus: float
    mean_per_text: float
    tokens: int


def perplexity(nll_sums: Sequence[float], *, token_counts: Sequence[int]) -> Perplexity:
    """Return both perplexities.

    Args:
        nll_sums: per text the summed negative log-likelihood of its scored tokens, in nats.
        token_counts: per text the number of scored tokens, at least 1.

    Raises:
        MetricError: Unequal lengths, no text, a text without scored tokens, or a NaN or infinite sum.

    Example:
        >>> result = perplexity([math.log(2), math.log(8) * 3], token_counts=[1, 3])
        >>> round(result.corpus, 6), round(result.mean_per_text, 6)
        (5.656854, 5.0)
    """
    if len(nll_sums) != len(token_counts) or not len(nll_sums):
        raise MetricError(
            f"{len(nll_sums)} sums of log-likelihood and {len(token_counts)} token counts: give one of each"
            " per text, for at least one text."
        )
    for row, (nll, count) in enumerate(zip(nll_sums, token_counts, strict=True), start=1):
        if count < 1 or not math.isfinite(nll):
            raise MetricError(
                f"text {row} has a summed NLL of {nll} over {count} tokens: the sum must be finite and"
                " the count at least 1. Leave out texts without scored tokens."
            )
    corpus = _exp(math.fsum(nll_sums) / sum(token_counts))
    means = [_exp(nll / count) for nll, count in zip(nll_sums, token_counts, strict=True)]
    return Perplexity(corpus, math.fsum(means) / len(means), sum(token_counts))


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf  # exp overflows a double near 709.8
