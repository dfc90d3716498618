"""Signals that come all the time, as a profiler sends them: every system call may be interrupted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Signals:
    """How many have been handled."""

    count = 0

    def handle(self, *_: object) -> None:
        self.count += 1


@contextmanager
def storm(seconds: float) -> Iterator[Signals]:
    """SIGALRM every so many seconds, with a handler that returns."""
    signals = Signals()
    before = signal.signal(signal.SIGALRM, signals.handle)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield signals
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
