"""A batch halves where memory runs out; everything is done once, in order, whatever size was held."""

import gc
import logging
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from panollava.errors import OutOfMemory
from panollava.inference.batch_size import BatchSize


def holding(most, seen=None):
    """Return work that runs out of memory with more than ``most`` items."""

    def work(items):
        if seen is not None:
            seen.append(len(items))
        if len(items) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nand more")
        return list(items)

    return work


@given(st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_every_item_is_done_once_and_in_order(count, size, most):
    done = list(BatchSize(size, "panoramas").each(range(count), holding(most)))
    assert [item for batch in done for item in batch] == list(range(count))
    assert all(len(batch) <= min(most, size) for batch in done)


def test_a_size_that_was_too_large_is_not_tried_again():
    seen = []
    list(BatchSize(8, "panoramas").each(range(12), holding(2, seen)))
    assert seen == [8, 4, 2, 2, 2, 2, 2, 2]


def test_each_size_is_logged_once(caplog):
    with caplog.at_level(logging.WARNING):
        list(BatchSize(8, "panoramas").each(range(12), holding(2)))
    assert [record.message for record in caplog.records] == [
        "out of memory with 8 panoramas at a time; going on with 4 (CUDA out of memory. Tried to allocate 2.00 GiB.)",
        "out of memory with 4 panoramas at a time; going on with 2 (CUDA out of memory. Tried to allocate 2.00 GiB.)",
    ]


def test_no_more_than_there_are_is_tried_so_that_halving_changes_something():
    seen = []

    def work(size):
        seen.append(size)
        if size > 1:
            raise MemoryError
        return size

    assert BatchSize(32, "questions").fit(work, most=3) == 1
    assert seen == [3, 1]


def test_one_that_is_too_much_stops_with_advice():
    with pytest.raises(OutOfMemory, match=r"out of memory \(questions, 1 at a time\): CUDA out") as caught:
        list(BatchSize(4, "questions").each(range(3), holding(0)))
    for key in ("generation.max_new_tokens", "language.dtype", "views.size_px"):
        assert key in str(caught.value)


def test_the_inner_batch_stops_the_outer_one_only_at_its_own_one():
    inner = BatchSize(4, "questions")
    outer = BatchSize(2, "panoramas")
    sizes = []

    def work(panoramas):
        sizes.append(len(panoramas))
        return inner.fit(lambda size: holding(0 if len(panoramas) > 1 else 1)(range(size)), most=4)

    assert list(outer.each(range(2), work)) == [[0], [0]]
    assert sizes == [2, 1, 1]


def test_another_failure_passes_through():
    def work(items):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    batch = BatchSize(8, "panoramas")
    with pytest.raises(RuntimeError, match="mat1"):
        list(batch.each(range(3), work))
    assert batch.size == 8


def test_what_the_failed_try_held_is_free_before_the_next():
    """An exception holds its frames, and they hold tensors: a retry beside them would have half of the memory."""
    alive = []

    def work(items):
        tensor = torch.zeros(4)
        before = [ref for ref in alive if ref() is not None]
        alive.append(weakref.ref(tensor))
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return len(before)

    gc.disable()
    try:
        assert list(BatchSize(4, "panoramas").each(range(2), work)) == [0, 0]
    finally:
        gc.enable()
