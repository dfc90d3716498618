"""The control socket: JSON lines, version 1; docs/supervise.md describes them.

A request is one line: {"v": 1, "id": anything, "cmd": "status", …}. It is answered by one line with the same id, `ok`
and either `result` or `error`; `logs` with `follow` and `wait-ready` are answered later, or several times.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fastos.supervise.connections import Connection, Listener, listen_unix
from fastos.supervise.loop import Loop
from fastos.supervise.states import State
from fastos.supervise.unit import Unit
from fastos.supervise.values import signal_number

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

VERSION: Final = 1
LINE_LIMIT: Final = 64 << 10
FOLLOW_LIMIT: Final = 1 << 20  # text that waits for a follower; what comes beyond it is skipped, and that is said
TAIL_LIMIT: Final = 1 << 20


_READY: Final = frozenset({State.RUNNING, State.RELOADING, State.EXITED})


@dataclasses.dataclass(slots=True)
class Wait:
    """A request to be told when services are ready; `pending` are those that have not been so far."""

    identifier: Any
    names: frozenset[str]
    pending: set[str]


class RequestError(Exception):
    """What is wrong with a request; its text is the answer."""


def _names(request: dict[str, Any]) -> list[str]:
    names = request.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError("names must be a list of strings")
    return names


class ControlClient:
    """One connection: splits lines, answers requests."""

    __slots__ = ("_buffer", "_connection", "_server", "following", "skipped", "waits")

    def __init__(self, server: "ControlServer", connection: Connection) -> None:
        self._server, self._connection = server, connection
        self._buffer = b""
        self.following: tuple[Any, frozenset[str]] | None = None
        self.waits: list[Wait] = []
        self.skipped = 0

    def received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if self._connection.is_closed():
                return  # it asked for more than it takes
            if line.strip():
                self._request(line)
        if len(self._buffer) > LINE_LIMIT:
            self.answer(None, error=f"a line is longer than {LINE_LIMIT} bytes")
            self._connection.close_when_sent()

    def gone(self) -> None:
        self._server.client_gone(self)

    def _request(self, line: bytes) -> None:
        identifier = None
        try:
            try:
                request = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RequestError(f"not a request: {error}") from None
            if not isinstance(request, dict):
                raise RequestError("a request is a JSON object")
            identifier = request.get("id")
            if request.get("v") != VERSION:
                raise RequestError(f"protocol version {request.get('v')!r} is not {VERSION}")
            result = self._server.do(self, request)
        except (RequestError, KeyError) as error:
            self.answer(identifier, error=str(error.args[0]))
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            self.answer(identifier, error=str(error))
        else:
            if result is not None:
                self.answer(identifier, result=result)

    def answer(self, identifier: object, **content: object) -> None:
        message = {"v": VERSION, "id": identifier, "ok": "error" not in content, **content}
        self._connection.send(json.dumps(message).encode() + b"\n")

    def text(self, name: str, text: bytes) -> None:
        """Log text for a follower; one that does not keep up is told how much it missed."""
        assert self.following is not None
        if self._connection.waiting() > FOLLOW_LIMIT:
            self.skipped += len(text)
            return
        identifier, _ = self.following
        if self.skipped:
            self.answer(identifier, skipped=self.skipped)
            self.skipped = 0
        self.answer(identifier, name=name, text=text.decode(errors="replace"))


class ControlServer:
    """Listens, checks who asks (the same user, or root), and does what is asked."""

    def __init__(self, supervisor: "Supervisor", loop: Loop, path: str) -> None:
        self._supervisor = supervisor
        self.path = path
        self._clients: set[ControlClient] = set()
        self._followers: set[ControlClient] = set()
        self._waiters: set[ControlClient] = set()
        self._listener = Listener(loop, listen_unix(path), self._make, owner_only=True)
        self._commands: dict[str, Callable[[ControlClient, dict[str, Any]], object]] = {
            "status": self._status,
            "start": lambda client, request: self._each(request, supervisor.start),
            "stop": lambda client, request: self._each(request, supervisor.stop),
            "restart": lambda client, request: self._each(request, supervisor.restart),
            "reload": self._reload,
            "reopen-logs": self._reopen_logs,
            "signal": self._signal,
            "logs": self._logs,
            "wait-ready": self._wait_ready,
            "shutdown": self._shutdown,
            "upgrade": self._upgrade,
            "ping": lambda client, request: {"pid": os.getpid(), "version": VERSION},
        }
        supervisor.observer = self

    def _make(self, connection: Connection) -> ControlClient:
        client = ControlClient(self, connection)
        self._clients.add(client)
        return client

    def client_gone(self, client: ControlClient) -> None:
        self._clients.discard(client)
        self._waiters.discard(client)
        if client in self._followers:
            self._followers.discard(client)
            self._set_taps()

    def do(self, client: ControlClient, request: dict[str, Any]) -> object:
        command = request.get("cmd")
        action = self._commands.get(command) if isinstance(command, str) else None
        if action is None:
            raise RequestError(f"unknown command {command!r}; there are {', '.join(self._commands)}")
        return action(client, request)

    def _selected(self, request: dict[str, Any]) -> list[str]:
        """Names of instances: all, or those named, services included."""
        names = _names(request)
        if not names:
            return list(self._supervisor.units())
        return [unit.name for name in names for unit in self._supervisor.units_named(name)]

    def _each(self, request: dict[str, Any], action: Callable[[str], object]) -> object:
        names = _names(request)
        if not names:
            raise RequestError("names are missing")
        for name in names:
            self._supervisor.units_named(name)
        for name in names:
            action(name)
        return {"names": names}

    def _status(self, client: ControlClient, request: dict[str, Any]) -> object:
        status = self._supervisor.status()
        return [dataclasses.asdict(status[name]) for name in self._selected(request) if name in status]

    def _reload(self, client: ControlClient, request: dict[str, Any]) -> object:
        """With names: their reload signal. Without: the configuration anew."""
        if _names(request):
            return self._each(request, self._supervisor.reload_service)
        if self._supervisor.reloader is None:
            raise RequestError("this supervisor has no configuration to read again")
        return dataclasses.asdict(self._supervisor.reloader())

    def _reopen_logs(self, client: ControlClient, request: dict[str, Any]) -> object:
        self._supervisor.reopen_logs()
        return {}

    def _signal(self, client: ControlClient, request: dict[str, Any]) -> object:
        number = signal_number(request.get("signal"))
        return self._each(request, lambda name: self._supervisor.signal(name, number))

    def _shutdown(self, client: ControlClient, request: dict[str, Any]) -> object:
        self._supervisor.shutdown(now=bool(request.get("now")))
        return {}

    def _upgrade(self, client: ControlClient, request: dict[str, Any]) -> object:
        if self._supervisor.upgrader is None:
            raise RequestError("this supervisor is part of a program: it cannot be executed anew")
        self._supervisor.upgrader()
        return {}

    # -- logs

    def _logs(self, client: ControlClient, request: dict[str, Any]) -> object:
        names = self._selected(request)
        lines = request.get("lines", 10)
        if not isinstance(lines, int) or isinstance(lines, bool) or lines < 0:
            raise RequestError("lines must be 0 or more")
        identifier = request.get("id")
        units = self._supervisor.units()
        for name in names:
            path = units[name].service.log.path.replace("{name}", name)
            if path and lines:
                client.answer(identifier, name=name, text=tail(path, lines).decode(errors="replace"))
        if not request.get("follow"):
            return {"end": True}
        client.following = (identifier, frozenset(names))
        self._followers.add(client)
        self._set_taps()
        return None

    def _set_taps(self) -> None:
        wanted = frozenset(name for client in self._followers if client.following for name in client.following[1])
        self._supervisor.set_taps(wanted)

    def tapped(self, unit: Unit, text: bytes) -> None:
        for client in list(self._followers):
            if client.following is not None and unit.name in client.following[1]:
                client.text(unit.name, text)

    # -- waiting

    def _wait_ready(self, client: ControlClient, request: dict[str, Any]) -> object:
        names = frozenset(self._selected(request))
        self._waiters.add(client)
        client.waits.append(Wait(request.get("id"), names, set(names)))
        self._look_at_all(client)
        return None

    def changed(self, unit: Unit) -> None:
        """A service's state changed: some may have waited for that."""
        for client in list(self._waiters):
            for wait in client.waits:
                if unit.name in wait.pending or unit.state is State.FAILED:
                    self._look_at(wait, unit)
            if not all(wait.pending for wait in client.waits) or unit.state is State.FAILED:
                self._look_at_all(client)

    def _look_at(self, wait: "Wait", unit: Unit) -> None:
        if unit.state in _READY:
            wait.pending.discard(unit.name)

    def _look_at_all(self, client: ControlClient) -> None:
        """Answers what can be answered: everybody is ready at this moment, or somebody has failed."""
        units, left = self._supervisor.units(), []
        for wait in client.waits:
            known = [units[name] for name in wait.names if name in units]
            failed = sorted(unit.name for unit in known if unit.state is State.FAILED)
            wait.pending = {unit.name for unit in known if unit.state not in _READY}
            if failed:
                client.answer(wait.identifier, error=f"failed: {', '.join(failed)}")
            elif not wait.pending:
                client.answer(wait.identifier, result={"names": sorted(wait.names)})
            else:
                left.append(wait)
        client.waits = left
        if not left:
            self._waiters.discard(client)

    def close(self) -> None:
        self._supervisor.observer = None
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def tail(path: str, lines: int) -> bytes:
    """The last lines of a file, of at most TAIL_LIMIT bytes; b"" if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_LIMIT))
            return b"".join(file.read().splitlines(keepends=True)[-lines:])
    except OSError:
        return b""
