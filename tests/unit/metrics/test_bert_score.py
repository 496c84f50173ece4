import math

import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics.bert_score import TextEmbedding, bert_score, flat_weights, idf_weights


def text(*rows):
    ids = tuple(token for token, _ in rows)
    return TextEmbedding(ids, np.array([vector for _, vector in rows], dtype=float))


def test_each_token_takes_its_nearest_partner():
    ours = text((1, [1, 0, 0]), (2, [0, 2, 0]))
    theirs = text((1, [3, 0, 0]), (3, [0, 1, 1]), (4, [0, 0, 1]))
    near = math.sqrt(0.5)
    precision, recall = (1 + near) / 2, (1 + near + 0) / 3
    expected = (precision, recall, 2 * precision * recall / (precision + recall))
    assert bert_score(ours, reference=theirs, weights=flat_weights([])) == pytest.approx(expected)


def test_tokens_that_open_a_text_do_not_count_but_can_be_matched():
    ours, theirs = text((101, [1, 0]), (5, [0, 1])), text((101, [0, 1]), (6, [1, 0]))
    assert bert_score(ours, reference=theirs, weights=flat_weights([101])) == (1.0, 1.0, 1.0)
    assert (
        bert_score(text((5, [0, 1])), reference=text((101, [1, 0]), (5, [0, 1])), weights=flat_weights([101]))[1] == 1
    )


def test_rare_tokens_weigh_more_with_idf():
    weights = idf_weights([[1, 2, 2], [1, 3], [1]])
    assert (weights[1], weights[2], weights[8]) == (0.0, math.log(4 / 2), math.log(4))
    ours = text((1, [1, 0]), (2, [0, 1]), (8, [1, 0]))
    precision = bert_score(ours, reference=text((2, [0, 1])), weights=weights)[0]
    assert precision == pytest.approx(math.log(2) / (math.log(2) + math.log(4)))


def test_opposite_texts_score_zero_rather_than_nan():
    assert bert_score(text((1, [1, 0])), reference=text((2, [0, 1])), weights=flat_weights([])) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "special", "message"),
    [
        (text((1, [1, 0])), text((1, [1, 0, 0])), [], "widths 2 and 3"),
        (text((1, [0, 0])), text((1, [1, 0])), [], "all zeros or not finite"),
        (text((1, [1, 0])), text((1, [1, 0])), [1], "no token of a text has a weight"),
        (TextEmbedding((1, 2), np.ones((1, 2))), text((1, [1, 0])), [], "2 tokens with embeddings of shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(ours, theirs, special, message):
    with pytest.raises(MetricError, match=message):
        bert_score(ours, reference=theirs, weights=flat_weights(special))
