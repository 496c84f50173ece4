from collections import Counter

import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics import ngrams
from panollava.metrics.ngrams import NgramTable, sorted_keys

from .official import random_captions


def corpus(seed, items):
    predictions, references = random_captions(seed, items)
    return [text.split() for text in predictions], [[text.split() for text in group] for group in references]


def by_counter(words, order):
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


@pytest.fixture(params=["one number", "two numbers"])
def sorting(request, monkeypatch):
    """Sort keys as one number with their place, and as corpora too large for that do."""
    if request.param == "two numbers":

        def plainly(key):
            order = np.argsort(key, kind="stable")
            return order, key[order]

        monkeypatch.setattr(ngrams, "sorted_keys", plainly)


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_counts_of_every_caption_and_partners_have_the_same_ngram(seed, sorting):
    predictions, references = corpus(seed, 30)
    texts = [text for said, group in zip(predictions, references, strict=True) for text in (said, *group)]
    table = NgramTable.of(predictions, references)
    captions = table.captions
    for order, rows in enumerate(table.orders, start=1):
        names = {}
        found = [Counter() for _ in texts]
        for gram, caption, count in zip(*(x.tolist() for x in (rows.gram, rows.caption, rows.count)), strict=True):
            found[caption][gram] = count
        for caption, text in enumerate(texts):
            expected = by_counter(text, order)
            assert sorted(found[caption].values()) == sorted(expected.values())
            for gram in expected:
                names.setdefault(gram, set()).add(caption)
        held = {}
        for gram, caption in zip(rows.gram.tolist(), rows.caption.tolist(), strict=True):
            held.setdefault(gram, set()).add(caption)
        assert sorted(map(sorted, held.values())) == sorted(map(sorted, names.values()))
        has = set(zip(rows.gram.tolist(), rows.caption.tolist(), strict=True))
        said = captions.predicted[captions.item[rows.caption]]
        for row in range(len(rows.gram)):
            partner, caption, gram = int(rows.partner[row]), int(rows.caption[row]), int(rows.gram[row])
            if caption == said[row] or (gram, int(said[row])) not in has:
                assert partner == -1
            else:
                assert (rows.gram[partner], rows.caption[partner]) == (gram, said[row])


@pytest.mark.parametrize("top", [9, 2**62])
def test_keys_that_fit_and_keys_that_do_not_are_sorted_stably(top):
    key = np.random.default_rng(0).choice(np.array([0, 3, top, top - 1]), 200)
    order, values = sorted_keys(key)
    np.testing.assert_array_equal(order, np.argsort(key, kind="stable"))
    np.testing.assert_array_equal(values, np.sort(key))


def test_no_words_and_no_items():
    assert [len(rows.gram) for rows in NgramTable.of([[]], [[[], []]]).orders] == [0, 0, 0, 0]
    assert len(NgramTable.of([], []).captions.item) == 0


def test_bad_input_is_named():
    with pytest.raises(MetricError, match="1 predictions but 2 groups"):
        NgramTable.of([["a"]], [[["a"]], [["b"]]])
    with pytest.raises(MetricError, match="item 2 has no reference"):
        NgramTable.of([["a"], ["a"]], [[["a"]], []])
