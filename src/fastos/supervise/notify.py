"""sd_notify(3): one datagram socket on which services say how they are.

Who sent a message is told by the kernel (SO_PASSCRED), never by the message. Descriptors that come along are closed
when the message has been dealt with, which is what BARRIER=1 waits for.
"""

import array
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from fastos.supervise.loop import Loop

MESSAGE_LIMIT: Final = 8192
TURN_LIMIT: Final = 64  # messages of one turn: who floods does not hold up the others
_CREDENTIALS: Final = struct.Struct("iII")


def parse(message: bytes) -> dict[str, str]:
    """NAME=value lines -> dict. What is no such line is left out; the last of a name holds."""
    found = {}
    for line in message.split(b"\n"):
        name, equals, value = line.partition(b"=")
        if equals and name:
            found[name.decode(errors="replace")] = value.decode(errors="replace")
    return found


class NotifySocket:
    """Receives; calls `received(pid, fields)` for each message with at least one field."""

    def __init__(self, loop: Loop, path: str, received: Callable[[int, dict[str, str]], None], fd: int = -1) -> None:
        self._loop = loop
        self._received = received
        self.path = path
        if fd >= 0:
            self._socket = socket.socket(fileno=fd)
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._socket.bind(path)
            os.chmod(path, 0o666)  # services of any user; the kernel says who it was
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        loop.watch(self._socket.fileno(), self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def on_ready(self, events: int) -> None:
        for _ in range(TURN_LIMIT):
            try:
                message, ancillary, _flags, _ = self._socket.recvmsg(
                    MESSAGE_LIMIT,
                    socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(253 * 4),
                    socket.MSG_CMSG_CLOEXEC,
                )
            except (BlockingIOError, InterruptedError):
                return
            self._deal_with(message, ancillary)

    def _deal_with(self, message: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        pid, descriptors = 0, array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(data) >= _CREDENTIALS.size:
                pid = _CREDENTIALS.unpack_from(data)[0]
            elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        try:
            fields = parse(message)
            if pid > 0 and fields:
                self._received(pid, fields)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def close(self) -> None:
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
