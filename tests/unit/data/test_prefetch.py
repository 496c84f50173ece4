"""Items come in order, ahead of time, and their errors where they belong."""

import threading

import pytest

from panollava.data.prefetch import prefetched


def test_items_are_fetched_before_they_are_asked_for():
    fetched, third = [], threading.Event()

    def items():
        for n in range(10):
            fetched.append((n, threading.current_thread().name))
            if n == 2:
                third.set()
            yield n

    iterator = prefetched(items(), ahead=2)
    assert next(iterator) == 0
    assert third.wait(timeout=60)  # nobody has asked for it
    assert list(iterator) == list(range(1, 10))
    assert [n for n, _ in fetched] == list(range(10))
    assert all(name.startswith("prefetch") for _, name in fetched)


@pytest.mark.parametrize("ahead", [1, 3, 20])
def test_an_error_is_raised_at_its_place(ahead):
    def items():
        yield from range(4)
        raise KeyError("five")

    seen = []
    with pytest.raises(KeyError, match="five"):
        seen.extend(prefetched(items(), ahead=ahead))
    assert seen == [0, 1, 2, 3]


def test_whoever_stops_early_leaves_no_thread():
    iterator = prefetched(iter(range(100)), ahead=2)
    next(iterator)
    iterator.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]
