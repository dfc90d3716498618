"""All deadlines of a supervisor in one heap, so that one timer of the kernel is enough.

A deadline that is moved or cancelled stays in the heap until its time or until half of the heap is stale: moving one is
O(log n), and petting a watchdog a thousand times a second costs an assignment.
"""

import heapq
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Nanoseconds of a clock that never jumps."""


class Timers:
    """Deadlines by key; a key has at most one.

    Parameters:
        clock: nanoseconds, monotonic; a fake one in tests.
    """

    __slots__ = ("_clock", "_due", "_heap")

    def __init__(self, clock: Clock = time.monotonic_ns) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, object]] = []  # (deadline, id of the key: never compares keys, key)
        self._due: dict[object, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: object, deadline_ns: int) -> None:
        """Arms the key, or moves its deadline. A later deadline costs no entry: the old one is looked at and put
        off."""
        old = self._due.get(key)
        self._due[key] = deadline_ns
        if old is None or deadline_ns < old:
            heapq.heappush(self._heap, (deadline_ns, id(key), key))
            if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
                self._compact()

    def after(self, key: object, seconds: float) -> None:
        """Arms the key `seconds` from now, rounded up to a nanosecond."""
        self.set(key, self._clock() + int(seconds * 1e9) + 1)

    def cancel(self, key: object) -> None:
        """Disarms the key; one that is not armed is no error."""
        self._due.pop(key, None)
        if not self._due:
            self._heap.clear()

    def deadline(self, key: object) -> int | None:
        return self._due.get(key)

    def next_deadline(self) -> int | None:
        """The earliest deadline in nanoseconds of the clock, or None if nothing is armed."""
        heap = self._heap
        while heap:
            when, _, key = heap[0]
            due = self._due.get(key)
            if due == when:
                return when
            heapq.heappop(heap)
            if due is not None and due > when:
                heapq.heappush(heap, (due, id(key), key))
        return None

    def expired(self) -> list[object]:
        """The keys whose deadline has passed, earliest first; they are disarmed."""
        now, keys = self._clock(), []
        while (when := self.next_deadline()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            keys.append(key)
        return keys

    def _compact(self) -> None:
        self._heap = [(when, id(key), key) for key, when in self._due.items()]
        heapq.heapify(self._heap)
