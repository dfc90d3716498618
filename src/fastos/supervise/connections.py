"""A listening socket and its clients, none of which can hold up the others or the services."""

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from fastos.supervise.loop import Loop

ACCEPT_TURN: Final = 64
READ_SIZE: Final = 4 << 10  # of one turn: who sends many requests at once does not hold up the others
OUTPUT_LIMIT: Final = 4 << 20  # what may wait for a client that does not read; one that lets more pile up is dropped
CLIENT_LIMIT: Final = 4096


class Client(Protocol):
    """What is behind one connection."""

    def received(self, data: bytes) -> None: ...
    def gone(self) -> None: ...


class Connection:
    """One client. Output that it does not take waits here, up to a limit."""

    __slots__ = ("_closing", "_listener", "_loop", "_output", "_socket", "client")

    def __init__(self, listener: "Listener", loop: Loop, connection: socket.socket) -> None:
        self._listener, self._loop, self._socket = listener, loop, connection
        self._output = bytearray()
        self._closing = False
        self.client: Any = None
        loop.watch(connection.fileno(), self)

    def on_ready(self, events: int) -> None:
        if self._output and events & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
            self._flush()
        if self._socket.fileno() >= 0 and events & ~select.EPOLLOUT and not self._closing:
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self.client.received(data)
        else:
            self.close_when_sent()  # who says no more may still listen

    def send(self, data: bytes) -> None:
        """Sends, now or later; a client that never reads is dropped."""
        if self._socket.fileno() < 0 or self._closing:
            return
        waiting = bool(self._output)
        self._output += data
        if not waiting:
            self._flush()
        if len(self._output) > OUTPUT_LIMIT:
            self.close()

    def is_closed(self) -> bool:
        return self._socket.fileno() < 0

    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return len(self._output)

    def close_when_sent(self) -> None:
        self._closing = True
        if not self._output:
            self.close()
        elif self._socket.fileno() >= 0:
            self._loop.change(self._socket.fileno(), select.EPOLLOUT)  # what comes is read no more, nor waked for

    def _flush(self) -> None:
        try:
            while self._output:
                del self._output[: self._socket.send(self._output)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if self._closing and not self._output:
            self.close()
            return
        wanted = 0 if self._closing else select.EPOLLIN
        self._loop.change(self._socket.fileno(), wanted | (select.EPOLLOUT if self._output else 0))

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            self._listener.connections.discard(self)
            if self.client is not None:
                self.client.gone()


class Listener:
    """Accepts connections; `make(connection)` says what is behind each.

    With `owner_only` a peer must have our user id, or be root. Raises OSError (EADDRINUSE: somebody listens there).
    """

    def __init__(
        self, loop: Loop, listener: socket.socket, make: Callable[[Connection], Client], owner_only: bool
    ) -> None:
        self._loop, self._socket, self._make, self._owner_only = loop, listener, make, owner_only
        self.connections: set[Connection] = set()
        listener.setblocking(False)
        loop.watch(listener.fileno(), self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def on_ready(self, events: int) -> None:
        for _ in range(ACCEPT_TURN):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._pause()  # out of descriptors: try again later, in place of spinning
                return
            if len(self.connections) >= CLIENT_LIMIT or (self._owner_only and not _is_ours(connection)):
                connection.close()
                continue
            connection.setblocking(False)
            link = Connection(self, self._loop, connection)
            self.connections.add(link)
            link.client = self._make(link)

    def _pause(self) -> None:
        self._loop.change(self._socket.fileno(), 0)
        self._loop.timers.after(self, 0.5)

    def on_deadline(self) -> None:
        self._loop.change(self._socket.fileno(), select.EPOLLIN)

    def close(self) -> None:
        self._loop.timers.cancel(self)
        for connection in list(self.connections):
            connection.close()
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()


def _is_ours(connection: socket.socket) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, uid, _ = struct.unpack("iII", credentials)
    return uid in (0, os.geteuid())


def listen_unix(path: str, mode: int = 0o600) -> socket.socket:
    """Listens on a path with these permission bits from the first moment on. A socket on which nobody listens any
    more is replaced. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            _remove_dead(path)
        # Nobody can connect before listen(), and the bits are set before that.
        listener.bind(path)
        os.chmod(path, mode)
        listener.listen(512)
    except OSError as error:
        listener.close()
        # Python itself refuses a path that does not fit into the address, without an errno.
        number = error.errno or errno.ENAMETOOLONG
        raise OSError(number, os.strerror(number), path) from None
    return listener


def _remove_dead(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(FileNotFoundError):
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
