"""Load the next items while the present one is worked on, in the same order, without another process."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Iterator[T], *, ahead: int = 2) -> Iterator[T]:
    """Yield the items of an iterator; a thread fetches up to ``ahead`` of them before they are asked for.

    One thread asks the iterator, one item at a time, so the order is the iterator's. An error of the iterator is
    raised where its item would have been yielded.

    Args:
        items: What to yield.
        ahead: Items that may wait, 1 or more.

    Example:
        >>> list(prefetched(iter("abc"), ahead=2))
        ['a', 'b', 'c']
    """
    end = object()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
    try:
        waiting = deque(pool.submit(next, items, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]  # anything but the end is an item
    finally:
        pool.shutdown(cancel_futures=True)
