"""How long it takes from the end of a child to the exec of the next: a histogram of fixed size."""

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (0.0005, 0.001, 0.0015, 0.002, 0.004, 0.008, 0.016, 0.05, 0.1, 0.5, 1.0, 10.0)


class Latency:
    """Counts by upper bound, in seconds; the last count is of those above all bounds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
