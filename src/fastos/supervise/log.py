"""Logs: each stream of a service is one pipe that lives as long as the service is known, whatever becomes of its
children.

The supervisor holds one descriptor of it, open for reading and writing: so there is never an end of file to be told,
nothing that a dead child wrote is lost, and a restart needs no new pipe. Each turn moves a bounded amount; a
destination that takes no more stops the reading of the pipes that lead to it, and of nothing else.
"""

import contextlib
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fastos._backend import topic
from fastos.supervise.archive import Compressor
from fastos.supervise.destination import Log
from fastos.supervise.loop import Loop
from fastos.supervise.unit import Unit

if TYPE_CHECKING:
    from fastos._backend import native_supervise as backend
else:
    backend = topic("supervise")

BUDGET: Final = 256 << 10  # bytes of one turn
BLOCKED: Final = 2
_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_LINE_LIMIT: Final = 64 << 10


class LineSink:
    """Lines to somebody who takes one at a time: a callable, syslog, journald. Same face as the backend's Pump."""

    def __init__(self, source: int, deliver: Callable[[bytes], bool]) -> None:
        self._source = source
        self._deliver = deliver
        self._lines: list[bytes] = []  # split, not yet delivered
        self._rest = b""
        self._text = b""
        self.tapped = False

    def pump(self, budget: int) -> tuple[int, int, int, str]:
        if not self._send():
            return BLOCKED, 0, 0, ""
        try:
            data = os.read(self._source, min(budget, 64 << 10))
        except BlockingIOError:
            return 0, 0, 0, ""
        self._text = data if self.tapped else b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        self._lines = lines
        return (0 if self._send() else BLOCKED), len(data), 0, ""

    def _send(self) -> bool:
        for sent, line in enumerate(self._lines):
            if not self._deliver(line):
                del self._lines[:sent]
                return False
        self._lines = []
        return True

    def finish(self) -> int:
        if self._rest:
            self._lines.append(self._rest)
            self._rest = b""
        return 0 if self._send() else BLOCKED

    def text(self) -> bytes:
        return self._text

    def tap(self, on: bool) -> None:
        self.tapped = on

    def pending(self) -> int:
        return sum(map(len, self._lines)) + len(self._rest)

    def reopen(self) -> None: ...
    def close(self) -> None: ...


class Datagrams:
    """A connected datagram socket that never makes the caller wait; it comes back when the other side does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> bool:
        """False: later. What no daemon is there to take is dropped, as syslog(3) does."""
        for _ in range(2):
            try:
                if self._socket is None:
                    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                    self._socket.connect(self._path)
                self._socket.send(message)
                return True
            except BlockingIOError:
                return False
            except OSError:
                self.close()
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def syslog_message(name: str, pid: int, line: bytes, priority: int) -> bytes:
    """RFC 3164 as /dev/log wants it; facility daemon."""
    stamp = time.strftime("%b %e %H:%M:%S")
    return f"<{3 * 8 + priority}>{stamp} {name}[{pid}]: ".encode() + line[:8000]


def journal_message(name: str, pid: int, line: bytes, priority: int) -> bytes:
    """systemd's native journal protocol."""
    fields = f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\nFASTOS_SERVICE={name}\nOBJECT_PID={pid}\n".encode()
    return fields + b"MESSAGE\n" + len(line).to_bytes(8, "little") + line + b"\n"


class Stream:
    """One stream of one unit and where it goes."""

    __slots__ = ("blocked", "fd", "logs", "pump", "spec", "stderr", "unit")

    def __init__(self, logs: "Logs", unit: Unit, spec: Log, fd: int, stderr: bool) -> None:
        self.logs, self.unit, self.spec, self.fd, self.stderr = logs, unit, spec, fd, stderr
        self.blocked = False
        self.pump: Any = None  # made when the first byte comes: an idle service has none

    def child_end(self) -> int:
        """A descriptor for the child to write to; the caller closes it.

        Open for both, so that a child whose supervisor was killed waits for the next one, in place of dying by SIGPIPE.
        """
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDWR | os.O_CLOEXEC)

    def on_ready(self, events: int) -> None:
        self.turn()

    def turn(self, budget: int = BUDGET) -> int:
        """Moves what is there, a bounded amount; returns the bytes read."""
        if self.fd < 0:
            return 0  # closed after the poller had seen it
        if self.pump is None:
            self.pump = self.logs.make_pump(self)
        try:
            flags, count, error, rotated = self.pump.pump(budget)
        except OSError as failure:  # out of memory, say: the pipe keeps it until the next attempt
            flags, count, error, rotated = BLOCKED, 0, failure.errno or 0, ""
        if self.pump is None:
            return 0  # whom the lines went to has removed the service
        if rotated:
            self.logs.rotated(rotated, self.spec)
        if self.pump.tapped and (text := self.pump.text()):
            self.logs.tapped(self.unit, text)
        if flags & BLOCKED:
            self.logs.block(self, error)
        elif self.blocked:
            self.logs.unblock(self)
        return int(count)

    def tap(self, on: bool) -> None:
        """Whether the text of each turn also goes to the followers."""
        if self.pump is None and on:
            self.pump = self.logs.make_pump(self)
        if self.pump is not None:
            self.pump.tap(on)

    def drain(self, limit: int = 4 << 20) -> None:
        """Moves what a dead child left, at most `limit` bytes, and ends its last line."""
        if self.pump is None and not _waiting(self.fd):
            return
        moved = 0
        while moved < limit and (count := self.turn()) and not self.blocked:
            moved += count
        if self.pump is not None and not self.blocked:
            self.pump.finish()

    def close(self) -> None:
        if self.fd >= 0:
            self.logs.forget(self)
            os.close(self.fd)
            self.fd = -1
        if self.pump is not None:
            self.pump.close()
            self.pump = None


class Logs:
    """All streams of a supervisor."""

    def __init__(self, loop: Loop, output: int, colour: bool, tapped: Callable[[Unit, bytes], None]) -> None:
        self._loop = loop
        self._output = output
        self._own_output = -1  # what is written to, made when the first line comes
        self._colour = colour
        self._scratch: backend.Scratch | None = None
        self._blocked: set[Stream] = set()
        self._compressor = Compressor()
        self._syslog = Datagrams("/dev/log")
        self._journal = Datagrams("/run/systemd/journal/socket")
        self._labels = 0
        self.width = 8
        self.tapped = tapped
        self.errors: dict[str, str] = {}

    def open(self, unit: Unit) -> None:
        """Makes the pipes that the unit's service needs; none where its output goes elsewhere by itself."""
        service, streams = unit.service, []
        for spec, stderr in ((service.log, False), (service.error_log, True)):
            if spec is not None and spec.to not in ("inherit", "null"):
                stream = Stream(self, unit, spec, _open_pipe(), stderr)
                self._loop.watch(stream.fd, stream)
                streams.append(stream)
        unit.streams = tuple(streams)

    def take_over(self, unit: Unit, fds: list[int]) -> None:
        """The unit's pipes, in the order of `open`, kept from before an upgrade, or from a supervisor that is gone."""
        service, streams = unit.service, []
        for spec, stderr in ((service.log, False), (service.error_log, True)):
            if spec is not None and spec.to not in ("inherit", "null"):
                fd = fds.pop(0) if fds else -1
                stream = Stream(self, unit, spec, fd if fd >= 0 else _open_pipe(), stderr)
                self._loop.watch(stream.fd, stream)
                streams.append(stream)
        unit.streams = tuple(streams)

    def make_pump(self, stream: Stream) -> Any:
        spec, name = stream.spec, stream.unit.name
        if spec.to == "file":
            return backend.Pump(
                self._shared(),
                stream.fd,
                path=spec.path.replace("{name}", name),
                digits=spec.timestamps,
                max_bytes=spec.max_bytes,
                max_age=spec.max_age,
                mode=spec.mode,
            )
        if spec.to == "own":
            return backend.Pump(
                self._shared(),
                stream.fd,
                destination=self._opened_output(),
                digits=spec.timestamps,
                label=self._label(name),
            )
        return LineSink(stream.fd, self._deliverer(stream))

    def _opened_output(self) -> int:
        """The output, so that writing to it never waits: a terminal that is almost full says that it takes more, and
        of a pipe another writer may be quicker. The flag must not be set on a description that others share."""
        if self._own_output < 0:
            self._own_output = self._output
            mode = os.fstat(self._output).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                with contextlib.suppress(OSError):
                    self._own_output = os.open(f"/proc/self/fd/{self._output}", flags)
        return self._own_output

    def _deliverer(self, stream: Stream) -> Callable[[bytes], bool]:
        unit, target, priority = stream.unit, stream.spec.to, 3 if stream.stderr else 6
        if target == "syslog":
            return lambda line: self._syslog.send(syslog_message(unit.name, unit.pid, line, priority))
        if target == "journald":
            return lambda line: self._journal.send(journal_message(unit.name, unit.pid, line, priority))
        assert callable(target)
        call: Callable[[str, bytes], object] = target

        def deliver(line: bytes) -> bool:
            try:
                call(unit.name, line)
            except Exception:
                sys.excepthook(*sys.exc_info())
            return True

        return deliver

    def _shared(self) -> "backend.Scratch":
        if self._scratch is None:
            self._scratch = backend.Scratch()
        return self._scratch

    def _label(self, name: str) -> str:
        text = f"{name:<{self.width}} | "
        if not self._colour:
            return text
        colour = _COLOURS[self._labels % len(_COLOURS)]
        self._labels += 1
        return f"\x1b[{colour}m{text}\x1b[0m"

    def block(self, stream: Stream, error: int) -> None:
        """The stream's destination takes no more: its pipe is left alone until it does."""
        if error:
            self.errors[stream.unit.name] = os.strerror(error)
        if not stream.blocked:
            stream.blocked = True
            self._loop.change(stream.fd, 0)
        if not self._blocked:
            self._loop.timers.after(self, 0.02)
        self._blocked.add(stream)

    def unblock(self, stream: Stream) -> None:
        stream.blocked = False
        self._blocked.discard(stream)
        self.errors.pop(stream.unit.name, None)
        self._loop.change(stream.fd, select.EPOLLIN)

    def forget(self, stream: Stream) -> None:
        self._blocked.discard(stream)
        self._loop.unwatch(stream.fd)

    def on_deadline(self) -> None:
        """Tries the blocked ones again."""
        blocked, self._blocked = self._blocked, set()
        for stream in blocked:
            stream.turn()

    def rotated(self, path: str, spec: Log) -> None:
        if spec.compress or spec.keep:
            self._compressor.put(path, spec.compress, spec.keep)

    def close(self) -> None:
        """Waits for the compression that is under way. The streams are closed before."""
        self._loop.timers.cancel(self)
        self._compressor.close()
        self._syslog.close()
        self._journal.close()
        if self._own_output not in (-1, self._output):
            os.close(self._own_output)
            self._own_output = -1
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None


def _open_pipe() -> int:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(reader)
        os.close(writer)


def _waiting(fd: int) -> int:
    """How many bytes the pipe holds."""
    import fcntl  # POSIX only
    import termios

    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
