"""Which children there are, on disk, for the next supervisor if this one is killed.

A journal: one line a start or an end, so that each costs the same however many services there are; rewritten when it
has grown to several times what is alive. A line that a crash cut short is ignored.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from fastos.supervise.tree import start_ticks
from fastos.supervise.unit import Unit

VERSION = 1


def boot_id() -> str:
    """Names this boot of the machine: pids and start times of another mean nothing."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


class StateFile:
    """The journal. Nobody else may write it; a lock on it says that its supervisor lives.

    Raises BlockingIOError if another supervisor has it, OSError if it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        import fcntl

        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(errno.EINVAL, "the state file is no regular file", path)
        self.path = path
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BlockingIOError(11, "another supervisor is using this state file", path) from None
        self._fd = -1
        self._lines = 0
        self._torn = False  # the disk was full: what is appended now might stand behind half a line
        self._alive: dict[str, str] = {}

    def read(self) -> dict[str, dict[str, Any]]:
        """The children that were alive, by name; none if the file is of another boot, or missing."""
        found: dict[str, dict[str, Any]] = {}
        try:
            with open(self.path, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return found
        header = _parse(lines[0])
        if header.get("fastos") != VERSION or header.get("boot") != boot_id():
            return found
        for line in lines[1:]:
            entry = _parse(line)
            if isinstance(entry.get("name"), str):
                if entry.get("pid"):
                    found[entry["name"]] = entry
                else:
                    found.pop(entry["name"], None)
        return found

    def rewrite(self, units: Iterable[Unit] = ()) -> None:
        """Begins the journal anew with what is alive."""
        for unit in units:
            if unit.pid:
                self._alive[unit.name] = _line(unit)
        partial = f"{self.path}.partial"
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        header = json.dumps({"fastos": VERSION, "boot": boot_id()})
        text = "\n".join([header, *self._alive.values(), ""]).encode()
        try:
            if os.write(fd, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), partial)
            os.rename(partial, self.path)
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._lines, self._torn = fd, len(self._alive), False

    def started(self, unit: Unit) -> None:
        unit.start_ticks = start_ticks(unit.pid)
        self._alive[unit.name] = line = _line(unit)
        self._append(line)

    def ended(self, unit: Unit) -> None:
        if self._alive.pop(unit.name, None) is not None:
            self._append(json.dumps({"name": unit.name, "pid": 0}))

    def _append(self, line: str) -> None:
        text = f"{line}\n".encode()
        try:
            self._torn = os.write(self._fd, text) < len(text) or self._torn
        except OSError:  # a full disk must not end the services
            self._torn = True
        self._lines += 1
        if self._torn or self._lines > 1000 + 4 * len(self._alive):
            with contextlib.suppress(OSError):
                self.rewrite()

    def close(self) -> None:
        """Ends the journal; with no child alive the files go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not self._alive:
            for path in (self.path, f"{self.path}.lock"):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        os.close(self._lock)


def _line(unit: Unit) -> str:
    pipes = [os.readlink(f"/proc/self/fd/{stream.fd}") for stream in unit.streams]
    return json.dumps({"name": unit.name, "pid": unit.pid, "start": unit.start_ticks, "pipes": pipes})


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def adopt(state_file: StateFile, units: Mapping[str, Unit]) -> list[tuple[Unit, list[int]]]:
    """Finds the children of a supervisor that is gone: the same pid, started at the same time, in this boot. Opens the
    pidfd before it looks, so that what it looked at is what it holds. Each unit comes with the reading ends of its
    pipes."""
    adopted = []
    for name, entry in state_file.read().items():
        unit, pid, start = units.get(name), entry.get("pid"), entry.get("start")
        if unit is None or not isinstance(pid, int) or not start:
            continue
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue
        if start_ticks(pid) != start:
            os.close(pidfd)
            continue
        unit.pid, unit.pidfd, unit.adopted, unit.start_ticks = pid, pidfd, True, start
        unit.message = "adopted: its exit status will be unknown"
        adopted.append((unit, [_find_pipe(pid, pipe) for pipe in entry.get("pipes", ())]))
    return adopted


def _find_pipe(pid: int, pipe: str) -> int:
    """Opens the pipe that the process writes its log to, or -1."""
    with contextlib.suppress(OSError):
        for number in (1, 2):
            link = f"/proc/{pid}/fd/{number}"
            if os.readlink(link) == pipe:
                return os.open(link, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    return -1
