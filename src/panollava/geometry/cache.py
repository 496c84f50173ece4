"""A cache bounded by bytes: maps and grids are large, and a service that renders many layouts must not grow."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class ByteCache(Generic[Entry]):
    """A thread-safe cache that forgets the least recently used entry when its bytes exceed a limit.

    Args:
        limit_bytes: the most bytes kept. An entry above it is returned but not kept.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.builds = 0
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Entry, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, *, build: Callable[[], tuple[Entry, int]]) -> Entry:
        """Return the entry of a key; ``build`` makes it, with its bytes, when it is not kept."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
        entry, size = build()  # outside the lock: two threads may build one map twice, none waits
        with self._lock:
            self.builds += 1
            if key not in self._entries and size <= self.limit_bytes:
                self._entries[key] = (entry, size)
                self.bytes += size
            while self.bytes > self.limit_bytes:
                self.bytes -= self._entries.popitem(last=False)[1][1]
        return entry

    def clear(self) -> None:
        """Forget every entry."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0
