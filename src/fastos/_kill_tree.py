"""Killing a process with all that descends from it.

With a cgroup the kernel does it (cgroup.kill). Without one the tree is walked: each member is stopped before its
children are read, so that it cannot make more, and the walk is repeated until it finds nobody new.
"""

import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastos import _backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastos._process import Process

_SETTLE = 0.2  # seconds that a stopped process may take to be seen stopped (it may be inside a system call)


def kill_tree(process: "Process", grace: float, timeout: float) -> list[int]:
    """See Process.kill_tree."""
    if not _backend.COMPILED or not hasattr(os, "pidfd_open"):
        raise NotImplementedError("kill_tree needs Linux and the compiled core (pidfd_open, PR_SET_CHILD_SUBREAPER)")
    cgroup = process._request.cgroup
    if cgroup is not None:
        return _kill_cgroup(process, _cgroup_path(cgroup), grace, timeout)
    with _adopting():
        return _Tree(process).kill(grace, timeout)


# -- by cgroup


def _cgroup_path(cgroup: "str | os.PathLike[str] | int") -> Path:
    return Path(f"/proc/self/fd/{cgroup}" if isinstance(cgroup, int) else cgroup)


def _members(cgroup: Path) -> list[int]:
    """The processes in the cgroup and below it."""
    found = []
    for directory, _, _ in os.walk(cgroup):
        try:
            found += [int(line) for line in (Path(directory) / "cgroup.procs").read_text().split()]
        except OSError:
            pass  # removed meanwhile, or threaded
    return found


def _kill_cgroup(process: "Process", cgroup: Path, grace: float, timeout: float) -> list[int]:
    if grace > 0:
        for number in (signal.SIGTERM, signal.SIGCONT):
            for pid in _members(cgroup):
                _signal_pid(pid, number)
        _until(lambda: _gone(process, _members(cgroup)), grace)
    try:
        (cgroup / "cgroup.kill").write_text("1")
    except OSError:  # Linux before 5.14: again and again until nobody is left
        _until(lambda: _kill_members(process, cgroup), timeout)
    _until(lambda: _gone(process, _members(cgroup)), timeout)
    return _members(cgroup)


def _kill_members(process: "Process", cgroup: Path) -> bool:
    """Kills those that are there now. True if there was nobody."""
    members = _members(cgroup)
    for pid in members:
        _signal_pid(pid, signal.SIGKILL)
    return _gone(process, members)


def _gone(process: "Process", members: list[int]) -> bool:
    process.poll()
    return not members


def _signal_pid(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _until(condition: "Callable[[], bool]", seconds: float) -> bool:
    """Asks at growing intervals until the condition holds or the time is over."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.02)
    return True


# -- by walking


_adopters = 0
_adopted_before = False
_adopters_lock = threading.Lock()


class _adopting:
    """While any thread is inside, this process adopts its orphaned descendants; afterwards it is as it was."""

    def __enter__(self) -> None:
        global _adopters, _adopted_before
        from fastos._backend import native_spawn

        with _adopters_lock:
            if _adopters == 0:
                _adopted_before = native_spawn.set_subreaper(True)
            _adopters += 1

    def __exit__(self, *_: object) -> None:
        global _adopters
        from fastos._backend import native_spawn

        with _adopters_lock:
            _adopters -= 1
            if _adopters == 0:
                native_spawn.set_subreaper(_adopted_before)


@dataclass
class _Stat:
    """Of /proc/PID/stat, what identifies and places a process."""

    state: str
    parent: int
    group: int
    session: int
    start: int


def _stat(pid: int) -> _Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return _Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def _children(pid: int) -> list[int]:
    """The children of all threads of a process."""
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += [int(child) for child in Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split()]
    except FileNotFoundError:
        if not Path("/proc/self/task").exists() or not Path(f"/proc/self/task/{os.getpid()}/children").exists():
            return [child for child in _all_processes() if (stat := _stat(child)) and stat.parent == pid]
    except ProcessLookupError:
        pass
    return found


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if re.fullmatch(r"\d+", name)]


@dataclass
class _Member:
    pid: int
    start: int
    pidfd: int
    stopped: bool = False

    def send(self, number: int) -> bool:
        """False if it has ended or may not be signalled."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def ended(self) -> bool:
        """Whether it has; a zombie that was adopted is reaped."""
        try:
            if os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG) is not None:
                return True
        except ChildProcessError:
            pass  # not a child of ours (any more): its own parent reaps it
        stat = _stat(self.pid)
        return stat is None or stat.start != self.start or stat.state in "ZX"


@dataclass
class _Tree:
    """The descendants of one process, each held by a pidfd."""

    process: "Process"
    members: dict[int, _Member] = field(default_factory=dict)
    leads: bool = False  # the process's pid is its own still, and the name of no other's group or session

    def __post_init__(self) -> None:
        self.leads = self.process._status is None

    def kill(self, grace: float, timeout: float) -> list[int]:
        try:
            return self._kill(grace, timeout)
        finally:
            for member in self.members.values():
                os.close(member.pidfd)

    def _kill(self, grace: float, timeout: float) -> list[int]:
        self._collect()
        if grace > 0:
            self._send(signal.SIGTERM)
            self._send(signal.SIGCONT)
            _until(self._all_ended, grace)
            self._collect()
        self._stop()
        self._send(signal.SIGKILL)
        _until(self._all_ended, timeout)
        survivors = [pid for pid, member in self.members.items() if not member.ended()]
        return survivors if self.process.poll() else [self.process.pid, *survivors]

    def _all_ended(self) -> bool:
        ended = [member.ended() for member in self.members.values()]
        return self.process.poll() is not None and all(ended)

    def _send(self, number: int) -> None:
        self.process.send_signal(number)
        for member in list(self.members.values()):
            member.send(number)

    def _collect(self) -> int:
        """Adds the descendants that are not known yet. Returns how many there were."""
        before = len(self.members)
        queue = [] if self.process.poll() else [self.process.pid]
        queue += self.members
        while queue:
            parent = queue.pop()
            queue += [child for child in _children(parent) if self._add(child, parent)]
        self._collect_adopted()
        if self.process._request.new_session:
            for pid in _all_processes():
                stat = _stat(pid)
                if stat is not None and stat.session == self.process.pid:
                    self._add(pid, stat.parent)
        return len(self.members) - before

    def _collect_adopted(self) -> None:
        """Adds those whose parent ended before it was looked at, and which are this process's children by now: known
        by a process group or session that a member made. No other child of this process can be in one of those."""
        for child in _children(os.getpid()):
            stat = None if child in self.members or child == self.process.pid else _stat(child)
            if stat is not None and (self._led(stat.group) or self._led(stat.session)):
                self._add(child, stat.parent)

    def _led(self, leader: int) -> bool:
        return leader in self.members or (self.leads and leader == self.process.pid)

    def _add(self, pid: int, parent: int) -> bool:
        """Adds a child of a member; False if it is known, has ended, or the pid is somebody else's by now."""
        if pid in self.members or pid == self.process.pid:
            return False
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return False
        stat = _stat(pid)
        if stat is None or stat.parent not in (parent, os.getpid()):
            os.close(pidfd)
            return False
        self.members[pid] = _Member(pid, stat.start, pidfd)
        return True

    def _stop(self) -> None:
        """Stops everybody, until two walks one after the other find nobody new: then nobody is left to make another
        process, nor to end between being listed and having its children listed."""
        deadline = time.monotonic() + _SETTLE
        quiet = 0
        while quiet < 2:
            self._send(signal.SIGSTOP)
            settled = self._all_stopped() or time.monotonic() > deadline
            quiet = quiet + 1 if self._collect() == 0 and settled else 0

    def _all_stopped(self) -> bool:
        pids = [self.process.pid, *self.members] if self.process.poll() is None else list(self.members)
        stats = [_stat(pid) for pid in pids]
        return all(stat is None or stat.state in "TtZX" for stat in stats)
