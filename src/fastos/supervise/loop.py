"""One epoll for everything: descriptors, the deadlines' timer, and a way to be woken from elsewhere.

Asleep means asleep: without an event no call returns. Each event costs the same, however many descriptors are watched.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from fastos._backend import topic
from fastos.supervise.timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastos._backend import native_supervise as backend
else:
    backend = topic("supervise")

BATCH = 256  # events taken at once; the rest come with the next call


class Watcher(Protocol):
    """What a descriptor belongs to. It must bear being called without cause."""

    def on_ready(self, events: int) -> None: ...


class Expirer(Protocol):
    """What a deadline belongs to, in place of a service: a key of Timers with this method is called when it expires."""

    def on_deadline(self) -> None: ...


def available() -> str | None:
    """The platform feature that supervision lacks here, or None."""
    if not hasattr(select, "epoll"):
        return "epoll"
    if not hasattr(os, "pidfd_open"):
        return "pidfd_open"
    return None


class Loop:
    """Waits for descriptors and deadlines. Used by one thread, but for `wake`."""

    __slots__ = ("_armed", "_epoll", "_timer", "_wake", "_wake_lock", "_watchers", "_woken", "timers")

    def __init__(self) -> None:
        if lacking := available():
            raise NotImplementedError(f"supervision needs {lacking}, which {sys.platform} does not have")
        self.timers = Timers(time.monotonic_ns)
        self._watchers: dict[int, Watcher] = {}
        self._epoll = select.epoll(select.EPOLL_CLOEXEC)
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._epoll.register(self._woken, select.EPOLLIN)
        self._timer = backend.timer_open()
        self._wake_lock = threading.RLock()  # re-entrant: a signal handler may come in between
        self._armed: int | None = None
        if self._timer >= 0:
            self._epoll.register(self._timer, select.EPOLLIN)

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to do."""
        return self._epoll.fileno()

    def watch(self, fd: int, watcher: Watcher, events: int = select.EPOLLIN) -> None:
        """Raises OSError, and has not begun then."""
        self._epoll.register(fd, events)
        self._watchers[fd] = watcher

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Forgets a descriptor; call it before closing that."""
        if self._watchers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def wake(self) -> None:
        """Makes `poll` return; from any thread, and from signal handlers."""
        with self._wake_lock:
            if self._wake >= 0:  # once closed, the number could be somebody else's
                try:
                    os.write(self._wake, b"w")
                except BlockingIOError:
                    pass  # it is awake already

    @contextlib.contextmanager
    def woken_by_signals(self) -> Iterator[list[int]]:
        """While inside, in the main thread, a signal ends a wait also if it came just before that began; and an
        interrupt that nobody else handles stands in the list, and is raised at the end: in the middle of a turn it
        could lose a child that has just been made.

        Its Python handler runs between two steps of the interpreter: without this, one that comes after the last of
        these and before the system call would wait for the next event (signal.set_wakeup_fd). A wake-up descriptor that
        the application has set stays.
        """
        interrupts: list[int] = []
        if threading.current_thread() is not threading.main_thread():
            yield interrupts
            return

        def interrupt(number: int, frame: object) -> None:
            interrupts.append(number)
            self.wake()

        before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, interrupt)
        try:
            yield interrupts
        finally:
            if ours and signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            if before == -1:
                signal.set_wakeup_fd(-1)
        if interrupts:
            raise KeyboardInterrupt

    def arm(self) -> None:
        """Brings the kernel's timer up to date with the earliest deadline."""
        deadline = self.timers.next_deadline()
        if deadline != self._armed and self._timer >= 0:
            backend.timer_arm(self._timer, -1 if deadline is None else deadline)
        self._armed = deadline

    def seconds_left(self) -> float | None:
        """How long whoever waits for `fileno` may do so at most; None where the timer makes that readable in time."""
        if self._timer >= 0 or self._armed is None:
            return None
        return max(0.0, (self._armed - time.monotonic_ns()) / 1e9)

    def poll(self, timeout: float | None) -> list[tuple[Watcher, int]]:
        """Waits, at most `timeout` seconds (None: as long as it takes), and returns who is ready for what.

        Call `arm` before: other threads change deadlines, and this is called without the lock that they hold."""
        left = self.seconds_left()
        if left is not None:
            timeout = left if timeout is None else min(timeout, left)
        ready = []
        for fd, events in self._epoll.poll(timeout, BATCH):
            watcher = self._watchers.get(fd)
            if watcher is not None:
                ready.append((watcher, events))
            elif fd == self._woken:
                with contextlib.suppress(BlockingIOError):  # another thread that polls, too, was quicker
                    os.read(self._woken, 1 << 16)
            elif fd == self._timer:
                self._armed = None
                backend.timer_arm(self._timer, -1)
        return ready

    def close(self) -> None:
        if not self._epoll.closed:
            self._epoll.close()
            with self._wake_lock:
                os.close(self._wake)
                os.close(self._woken)
                self._wake = self._woken = -1
            if self._timer >= 0:
                os.close(self._timer)
            self._watchers.clear()

    @property
    def closed(self) -> bool:
        return self._epoll.closed
