"""Finding and ending every process of a service, whatever it forked and wherever that went.

Each process of a service that is stopped by tree carries a mark in its environment; a process belongs to the service
if it
has the mark or descends from one that does. No process is signalled but through a pidfd opened before it was looked at.
"""

import contextlib
import os
import signal
from collections.abc import Iterable

MARK = "FASTOS_UNIT"


def start_ticks(pid: int) -> int:
    """When the process was started, in clock ticks since boot; 0 if there is none. With the pid it names one
    process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def _parents() -> dict[int, int]:
    parents = {}
    names: list[str] = []
    with contextlib.suppress(OSError):  # no descriptor left: those whose pidfds are held are ended all the same
        names = os.listdir("/proc")
    for name in names:
        if name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in (b"Z", b"X"):
                    parents[int(name)] = int(parent)
    return parents


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def members(roots: Iterable[int], mark: str) -> set[int]:
    """The living processes that are one of `roots`, descend from one, or carry `MARK=mark`. Reads all of /proc."""
    parents, wanted = _parents(), f"{MARK}={mark}".encode()
    found = set(roots) & parents.keys()
    found.update(pid for pid in parents if pid not in found and pid != os.getpid() and _has_mark(pid, wanted))
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    todo = list(found)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def send(pid: int, number: int, ticks: int = 0) -> bool:
    """Signals a process that is not our child; with `ticks` only if it was started then. False: there is none."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if ticks and start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def kill_all(known: dict[int, int], roots: Iterable[int], mark: str, rounds: int = 5) -> dict[int, int]:
    """Sends SIGKILL to the tree until a look finds nothing new, a bounded number of times; also to those of `known`
    (pid -> start) that live on. Returns who was found the last time: they are dying, or cannot be killed."""
    alive: dict[int, int] = {}
    killed: set[tuple[int, int]] = set()
    for _ in range(rounds):
        still = [pid for pid, ticks in known.items() if start_ticks(pid) == ticks]
        alive = {pid: start_ticks(pid) for pid in members([*roots, *still], mark)}
        fresh = [item for item in alive.items() if item not in killed]
        for pid, ticks in fresh:
            send(pid, signal.SIGKILL, ticks)
            killed.add((pid, ticks))
        if not fresh:
            break
    return alive
