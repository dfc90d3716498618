"""Executing the supervisor anew, with its children, pipes, sockets and states kept.

The process stays the same, so its children stay its children. What the next image needs to know stands in a memory file
whose descriptor is named in the environment; every descriptor that it names is kept open over the exec.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastos.supervise.intake import STOP_OPTIONS, close_on_exec, descriptors_of, fingerprint, resume

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

VARIABLE = "FASTOS_UPGRADE_FD"
VERSION = 1
REHEARSAL = 30.0  # seconds
SIGNALS = frozenset(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
"""They wait while the supervisor is executed anew: until it has its handlers again, each would end it. Windows has but
the first two."""


def describe(supervisor: "Supervisor") -> tuple[dict[str, Any], list[int]]:
    """What the next image has to know, and the descriptors that it needs."""
    fds: list[int] = []
    units = {}
    for name, unit in supervisor.units().items():
        streams = [stream.fd for stream in unit.streams]
        notify = supervisor.processes.notify_ends.get(name, -1)
        fds += [*streams, *(fd for fd in (unit.pidfd, notify) if fd >= 0)]
        units[name] = {
            "service": fingerprint(unit.service),
            "state": unit.state.name,
            "wanted": unit.wanted or name in supervisor.reloads.returning,
            "stop_pending": unit.stop_pending,
            "pid": unit.pid,
            "pidfd": unit.pidfd,
            "main_pid": unit.main_pid,
            "adopted": unit.adopted,
            "since": unit.since_ns,
            "spawned": unit.spawned_ns,
            "restarts": unit.restarts,
            "message": unit.message,
            "stop": {name: getattr(unit.service, name) for name in STOP_OPTIONS},
            "exit": list(unit.last_exit) if unit.last_exit else None,
            "usage": unit.usage,
            "streams": streams,
            "notify": notify,
        }
    listeners = {address: listener.fileno() for address, listener in supervisor.listeners.items()}
    fds += listeners.values()
    state: dict[str, Any] = {
        "version": VERSION,
        "units": units,
        "listeners": listeners,
        "mark": supervisor.processes.mark,
    }
    state["limits"] = supervisor.processes.limits
    notify_socket = supervisor.reports.socket
    if notify_socket is not None:
        state["notify"] = [notify_socket.path, notify_socket.fileno(), supervisor.reports.directory]
        fds.append(notify_socket.fileno())
    return state, fds


def rehearse(command: Sequence[str]) -> None:
    """Runs `command`, which only checks itself and the configuration: what fails here would fail after the exec, when
    the children have nobody left. Raises ValueError with what it said, OSError if it cannot be executed."""
    try:
        check = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=REHEARSAL, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{' '.join(command)} did not end within {REHEARSAL} s") from None
    if check.returncode != 0:
        said = check.stderr.decode(errors="backslashreplace").strip().removeprefix("fastos supervise: ")
        raise ValueError(said or f"{' '.join(command)} ended with {check.returncode}")


def execute(supervisor: "Supervisor", command: Sequence[str]) -> None:
    """Becomes `command`, which must make a Supervisor from `inherited()`. Raises OSError if it cannot be executed,
    and the supervisor then goes on as before; so it does when it is to end."""
    supervisor.prepare_upgrade()
    state, fds = describe(supervisor)
    memory = -1
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        if supervisor.is_ending():  # the next image would not know
            raise InterruptedError(errno.EINTR, "the supervisor is shutting down")
        memory = os.memfd_create("fastos-upgrade", 0)
        os.write(memory, json.dumps(state).encode())
        for fd in fds:
            os.set_inheritable(fd, True)
        environment = {**os.environ, VARIABLE: str(memory)}
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], list(command), environment)
    except OSError:
        for fd in fds:
            os.set_inheritable(fd, False)
        if memory >= 0:
            os.close(memory)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        supervisor.resume_after_failed_upgrade()
        raise


def inherited() -> Mapping[str, Any] | None:
    """What an earlier image of this process left for this one, or None. It can be asked for once."""
    number = os.environ.pop(VARIABLE, "")
    if not number.isdecimal():
        return None
    with open(int(number), "rb") as memory:
        memory.seek(0)
        state = json.load(memory)
    return state if isinstance(state, dict) and state.get("version") == VERSION else None


def take_over(supervisor: "Supervisor", state: Mapping[str, Any]) -> None:
    """Puts everything where it was."""
    supervisor.processes.mark = state["mark"]
    if state["limits"]:
        supervisor.processes.limits = [tuple(limit) for limit in state["limits"]]
    for address, fd in state["listeners"].items():
        close_on_exec([fd])
        supervisor.listeners[address] = socket.socket(fileno=fd)
    if "notify" in state:
        path, fd, directory = state["notify"]
        close_on_exec([fd])
        supervisor.reports.take_over(path, fd, directory)
    supervisor.resumed = set(state["units"])
    for name, kept in state["units"].items():
        close_on_exec(descriptors_of(kept))
        resume(supervisor, name, kept)
    supervisor.later(lambda: supervisor.conductor.look_again(supervisor.roster.units.values()))
