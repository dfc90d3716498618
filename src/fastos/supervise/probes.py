"""Asking services whether they are ready and still healthy, without ever waiting for the answer."""

import contextlib
import errno
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastos._backend import topic
from fastos.supervise.check import Check
from fastos.supervise.children import Processes, argument_words, has_ended
from fastos.supervise.loop import Loop
from fastos.supervise.states import Event, State
from fastos.supervise.unit import Unit

if TYPE_CHECKING:
    from fastos._backend import native_supervise as backend
else:
    backend = topic("supervise")

Post = Callable[[Unit, Event], None]


class Probe:
    """Repeated attempts of one check on one unit. `outcome(ok)` is called after each, until it returns False."""

    __slots__ = (
        "_check",
        "_deadline_is_pause",
        "_fd",
        "_loop",
        "_outcome",
        "_pid",
        "_process",
        "_processes",
        "_socket",
        "_unit",
    )

    def __init__(
        self, loop: Loop, processes: Processes, unit: Unit, check: Check, outcome: Callable[["Probe", bool], bool]
    ) -> None:
        self._loop, self._processes, self._unit, self._check, self._outcome = loop, processes, unit, check, outcome
        self._socket: socket.socket | None = None
        self._fd = -1  # watched: the socket's, or the pidfd of the command
        self._pid = 0
        self._process: Any = None  # the backend's own handle
        self._deadline_is_pause = True

    def begin(self, pause: float) -> None:
        self._deadline_is_pause = True
        self._loop.timers.after(self, pause)

    def close(self) -> None:
        """Gives the attempt up."""
        self._loop.timers.cancel(self)
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        elif self._fd >= 0:
            self._end_command()
        self._fd = -1

    def on_deadline(self) -> None:
        if not self._deadline_is_pause:
            self._finish(False)
            return
        self._deadline_is_pause = False
        try:
            if self._check.kind == "command":
                self._start_command()
            else:
                self._connect()
        except OSError:
            self._finish(False)

    def on_ready(self, events: int) -> None:
        if self._socket is not None:
            self._continue_connection()
        elif self._pid and has_ended(self._fd):
            with contextlib.suppress(OSError):  # what it leaves behind; its zombie holds the number of the group
                os.killpg(self._pid, signal.SIGKILL)
            end = backend.reap(self._pid, self._fd, self._process, self._processes.wait)
            if end is not None:
                del self._processes.checks[self._pid]
                self._pid = 0
                self._finish(end.code == 0)

    def _finish(self, ok: bool) -> None:
        self.close()
        if self._outcome(self, ok):
            self.begin(self._check.interval)

    # -- by connection

    def _connect(self) -> None:
        check = self._check
        if check.kind == "unix":
            family, address = socket.AF_UNIX, check.target
        else:
            family = socket.AF_INET6 if ":" in check.address[0] else socket.AF_INET
            address = check.address  # type: ignore[assignment]
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        answer = self._socket.connect_ex(address)
        if answer not in (0, errno.EINPROGRESS):  # EAGAIN is a Unix socket whose queue is full
            raise OSError(answer, os.strerror(answer))
        self._fd = self._socket.fileno()
        self._loop.watch(self._fd, self, select.EPOLLOUT)
        self._loop.timers.after(self, check.timeout)

    def _continue_connection(self) -> None:
        assert self._socket is not None
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._finish(False)
        elif self._check.kind != "http":
            self._finish(True)
        else:
            self._continue_http(self._socket)

    def _continue_http(self, connection: socket.socket) -> None:
        data = b""
        try:
            data = connection.recv(64)
        except BlockingIOError:
            host, port = self._check.address
            with contextlib.suppress(OSError):
                connection.send(f"GET {self._check.path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                self._loop.change(self._fd, select.EPOLLIN)
                return
        except OSError:
            pass
        words = data.split(None, 2)
        self._finish(len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:1] in (b"2", b"3"))

    # -- by command

    def _start_command(self) -> None:
        service, words = self._unit.service, argument_words(self._check.command)
        request = self._processes.check_request(service, words)
        streams = (backend.NULL, backend.NULL, backend.NULL)
        self._pid, self._fd, self._process = backend.spawn(request, streams, -1, (), self._processes.result)
        self._processes.checks[self._pid] = self
        self._loop.watch(self._fd, self)
        self._loop.timers.after(self, self._check.timeout)

    def _end_command(self) -> None:
        if self._pid:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
            Corpse(self._loop, self._processes, self._pid, self._fd, self._process)
            self._pid = 0
        else:
            os.close(self._fd)


class Corpse:
    """A command that was killed, until it has ended."""

    __slots__ = ("_fd", "_loop", "_pid", "_process", "_processes")

    def __init__(self, loop: Loop, processes: Processes, pid: int, fd: int, process: Any) -> None:
        self._loop, self._processes, self._pid, self._fd, self._process = loop, processes, pid, fd, process
        processes.corpses.add(self)
        processes.checks[pid] = self
        loop.watch(fd, self)

    def on_ready(self, events: int) -> None:
        if backend.reap(self._pid, self._fd, self._process, self._processes.wait) is not None:
            self._loop.unwatch(self._fd)
            os.close(self._fd)
            self._processes.corpses.discard(self)
            self._processes.checks.pop(self._pid, None)


class NotifyPipe:
    """s6's notification: the service writes a line to a descriptor when it is ready. The descriptor stays the
    child's."""

    __slots__ = ("_fd", "_loop", "_post", "_unit")

    def __init__(self, loop: Loop, fd: int, unit: Unit, post: Post) -> None:
        self._loop, self._fd, self._unit, self._post = loop, fd, unit, post
        loop.watch(fd, self)

    def on_ready(self, events: int) -> None:
        if self._fd < 0:
            return
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        if b"\n" in data:
            self.close()
            self._post(self._unit, Event.READY)
        elif not data:
            self.close()  # without a word: only the start timeout is left

    def close(self) -> None:
        """Looks no more; once only, for the number can be somebody else's by then."""
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
            self._fd = -1


class Watchdog:
    """Gives a service up that does not say WATCHDOG=1 in time."""

    __slots__ = ("_loop", "_post", "_probe", "_seconds", "_unit")

    def __init__(self, loop: Loop, unit: Unit, seconds: float, post: Post, probe: Probe | None) -> None:
        self._loop, self._unit, self._seconds, self._post, self._probe = loop, unit, seconds, post, probe
        self.pet()

    def pet(self) -> None:
        self._loop.timers.after(self, self._seconds)

    def on_deadline(self) -> None:
        self._unit.message = "watchdog: no sign of life"
        self._post(self._unit, Event.UNHEALTHY)

    def close(self) -> None:
        self._loop.timers.cancel(self)
        if self._probe is not None:
            self._probe.close()


class Asker:
    """Readiness and health of all units: the conductor's Probes."""

    def __init__(self, loop: Loop, processes: Processes, post: Post) -> None:
        self._loop = loop
        self._processes = processes
        self._post = post

    def begin_readiness(self, unit: Unit) -> bool:
        check = unit.service.readiness
        if check.kind == "none":
            return True
        if check.kind == "fd":
            unit.readiness = NotifyPipe(self._loop, self._processes.notify_ends[unit.name], unit, self._post)
        elif check.polled:
            unit.readiness = Probe(self._loop, self._processes, unit, check, self._ready_outcome(unit))
            unit.readiness.begin(0.0)
        return False

    def _ready_outcome(self, unit: Unit) -> Callable[[Probe, bool], bool]:
        def outcome(probe: Probe, ok: bool) -> bool:
            if ok:
                unit.readiness = None
                self._post(unit, Event.READY)
            return not ok and unit.state is State.STARTING

        return outcome

    def begin_health(self, unit: Unit) -> None:
        service, probe = unit.service, None
        if service.health.polled:
            probe = Probe(self._loop, self._processes, unit, service.health, self._health_outcome(unit))
            probe.begin(service.health.interval)
        if service.watchdog:
            unit.health = Watchdog(self._loop, unit, service.watchdog, self._post, probe)
        else:
            unit.health = probe

    def _health_outcome(self, unit: Unit) -> Callable[[Probe, bool], bool]:
        failed = 0

        def outcome(probe: Probe, ok: bool) -> bool:
            nonlocal failed
            failed = 0 if ok else failed + 1
            if failed < unit.service.health.failures:
                return True
            unit.message = f"health check failed {failed} times"
            self._post(unit, Event.UNHEALTHY)
            return False

        return outcome

    def end(self, unit: Unit) -> None:
        for probe in (unit.readiness, unit.health):
            if probe is not None:
                probe.close()
        unit.readiness = unit.health = None

    def pet(self, unit: Unit) -> None:
        if isinstance(unit.health, Watchdog):
            unit.health.pet()
