"""Children that this supervisor did not start: those of an earlier image of it, and those of one that was killed."""

import os
import time
from typing import TYPE_CHECKING, Any

from fastos.supervise.service import Service
from fastos.supervise.state_file import StateFile, adopt
from fastos.supervise.states import ALIVE, DOWN, UP, State
from fastos.supervise.tree import start_ticks
from fastos.supervise.unit import Exit, Unit

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

STOP_OPTIONS = ("stop_signal", "stop_timeout", "stop_scope", "cgroup")
"""What a service has to be stopped by, when it is gone from the configuration."""

_LEAVING = (State.STOPPING, State.RESTARTING, State.ABORTING)


def adopt_children(supervisor: "Supervisor", state_file: StateFile) -> None:
    """Goes on watching what a killed supervisor left; says so by the event `adopted`."""
    for unit, pipes in adopt(state_file, supervisor.roster.units):
        before = unit.state
        unit.wanted = True
        unit.since_ns = time.time_ns()
        unit.spawned_ns = time.monotonic_ns()
        supervisor.logs.take_over(unit, pipes)
        _watch(supervisor, unit)
        supervisor.conductor.place(unit, State.RUNNING)
        supervisor.asker.begin_health(unit)
        supervisor.tell("adopted", unit, before)


def _watch(supervisor: "Supervisor", unit: Unit) -> None:
    supervisor.loop.watch(unit.pidfd, unit)
    supervisor.by_pid[unit.pid] = unit


def resume(supervisor: "Supervisor", name: str, kept: dict[str, Any]) -> None:
    """Puts a unit where it was before the upgrade. One whose service is gone from the configuration is stopped."""
    unit, known = supervisor.roster.units.get(name), True
    if unit is None:
        unit, known = _stranger(supervisor, name, kept.get("stop", {})), False
    unit.pid, unit.pidfd, unit.main_pid = kept["pid"], kept["pidfd"], kept["main_pid"]
    unit.adopted, unit.restarts, unit.message = kept["adopted"], kept["restarts"], kept["message"]
    unit.since_ns, unit.spawned_ns = kept["since"], kept["spawned"]
    unit.last_exit = Exit(*kept["exit"]) if kept["exit"] else None
    unit.usage = tuple(kept["usage"]) if kept["usage"] else None
    unit.wanted = kept["wanted"]
    unit.start_ticks = start_ticks(unit.pid) if unit.pid else 0
    if kept["notify"] >= 0:
        supervisor.processes.notify_ends[name] = kept["notify"]
    supervisor.logs.take_over(unit, list(kept["streams"]))
    _place(supervisor, unit, State[kept["state"]], kept.get("stop_pending", False))
    if not known:
        supervisor.later(lambda: supervisor.reloads.drop_when_down([unit]))
    elif kept["service"] != fingerprint(unit.service) and unit.state in ALIVE and unit.wanted:
        supervisor.later(lambda: supervisor.conductor.restart(unit))


def fingerprint(service: Service) -> str:
    """Tells whether a service is configured as it was."""
    return repr(service)


def _place(supervisor: "Supervisor", unit: Unit, state: State, stop_pending: bool) -> None:
    if state in ALIVE:
        _watch(supervisor, unit)
        unit.stop_pending = stop_pending
        if state is State.STOPPING and unit.wanted:
            state = State.RESTARTING  # a reload was to bring it back
        supervisor.conductor.place(unit, state)
        if state in _LEAVING:
            supervisor.loop.timers.after(unit, unit.service.stop_timeout)
        elif state in UP:
            supervisor.asker.begin_health(unit)
        else:
            supervisor.conductor.await_readiness(unit)
    elif state in DOWN:
        supervisor.conductor.place(unit, state)
    # WAITING and BACKOFF begin again: start_all starts what is wanted and down


def _stranger(supervisor: "Supervisor", name: str, stop: dict[str, Any]) -> Unit:
    (unit,) = supervisor.roster.create(Service(name, ["false"], restart="never", **stop))
    supervisor.conductor.add(unit)
    return unit


def descriptors_of(kept: dict[str, Any]) -> list[int]:
    """Those that a unit brought over the exec."""
    return [fd for fd in (*kept["streams"], kept["pidfd"], kept["notify"]) if fd >= 0]


def close_on_exec(fds: list[int]) -> None:
    """No child of ours is to inherit them."""
    for fd in fds:
        os.set_inheritable(fd, False)
