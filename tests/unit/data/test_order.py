"""Orders by arithmetic: permutations, the same for ever."""

from collections import Counter

import numpy as np
import pytest

from panollava.data.order import permutation, uniforms

PINNED = [1, 0, 4, 6, 7, 2, 3, 5]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
def test_every_index_appears_once(count: int):
    assert sorted(permutation(count, seed=5).tolist()) == list(range(count))


def test_the_order_never_changes():
    assert permutation(8, seed=0).tolist() == PINNED
    assert permutation(8, seed=2**64).tolist() == PINNED


def test_each_argument_matters_and_none_stands_for_another():
    orders = {
        tuple(permutation(50, seed=seed, epoch=epoch, stream=stream).tolist())
        for seed in (-1, 0, 1)
        for epoch in (0, 1, 2)
        for stream in (-1, 0, 1)
    }
    assert len(orders) == 27


def test_every_order_of_three_is_about_as_frequent():
    counts = Counter(tuple(permutation(3, seed=seed).tolist()) for seed in range(6000))
    assert len(counts) == 6
    # 5 degrees of freedom: 20.5 is exceeded once in a thousand seeds
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5
    assert permutation(3, seed=0).dtype == np.int64


def test_uniform_numbers_are_even_and_depend_on_every_argument():
    drawn = uniforms(20000, seed=3)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 1800
    others = [uniforms(3, seed=4), uniforms(3, seed=3, epoch=1), uniforms(3, seed=3, stream=-1)]
    assert len({tuple(n) for n in [drawn[:3], *others]}) == 4
    assert uniforms(2, seed=0).tolist() == [0.1296456182997474, 0.049920065672091285]  # for ever
