import math

import pytest

from panollava.errors import MetricError
from panollava.metrics.perplexity import perplexity


def test_the_two_definitions_differ_when_texts_differ_in_length():
    result = perplexity([math.log(2), 3 * math.log(8)], token_counts=[1, 3])
    assert result.corpus == pytest.approx(math.exp((math.log(2) + 3 * math.log(8)) / 4))
    assert result.mean_per_text == pytest.approx((2 + 8) / 2)
    assert result.tokens == 4


@pytest.mark.parametrize(
    ("sums", "counts", "message"),
    [
        ([1.0], [1, 2], "1 sums of log-likelihood and 2 token counts"),
        ([], [], "for at least one text"),
        ([1.0, math.nan], [1, 1], "text 2 has a summed NLL of nan"),
        ([0.0], [0], "over 0 tokens"),
    ],
)
def test_unusable_input_is_named(sums, counts, message):
    with pytest.raises(MetricError, match=message):
        perplexity(sums, token_counts=counts)


def test_a_hopeless_model_has_infinite_perplexity():
    assert perplexity([1e6], token_counts=[1]).corpus == math.inf


def test_a_perplexity_beyond_numbers_is_missing_not_infinite():
    from dataclasses import replace

    from panollava.metrics import check_items, score_items

    items = replace(check_items(["x"], ["r"]), cells={"nll": (("1e6",),), "tokens": (("1",),)})
    for name in ("perplexity_corpus", "perplexity_per_text"):
        result = score_items(items, metrics=[name])[name]
        assert result.value is None
        assert "too large for a number" in result.reason
