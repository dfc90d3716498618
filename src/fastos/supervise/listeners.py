"""Sockets that the supervisor listens on for its services (sd_listen_fds(3)): they outlive each restart."""

import contextlib
import os
import socket
import stat

from fastos.supervise.check import parse_address


def listen(address: str, backlog: int = 128) -> socket.socket:
    """Listens on HOST:PORT, a path, or @abstract. Raises OSError or ValueError."""
    if address.startswith(("/", "@", ".")):
        return _listen_unix(address, backlog)
    host, port = parse_address(address)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _listen_unix(address: str, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.startswith("@"):
            listener.bind("\0" + address[1:])
        else:
            _remove_stale(address)
            listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Removes a socket on which nobody listens any more; any other file stays, and bind then fails."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)


def close(listener: socket.socket) -> None:
    """Closes a listener and removes its file."""
    name = listener.getsockname()
    listener.close()
    if isinstance(name, str) and name and not name.startswith("\0"):
        with contextlib.suppress(OSError):
            os.unlink(name)
