"""What can be asked of a supervisor by name, from any thread."""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from fastos.supervise.children import Processes
from fastos.supervise.conductor import Conductor
from fastos.supervise.dependencies import blockers
from fastos.supervise.log import Logs
from fastos.supervise.loop import Loop
from fastos.supervise.reload import Change, Reloads
from fastos.supervise.roster import Roster
from fastos.supervise.service import Service
from fastos.supervise.states import UP, State
from fastos.supervise.unit import Status, Unit

Result = TypeVar("Result")


class Commands(ABC):
    """The commands of a Supervisor. Each is done at once, while the loop stands still, and none waits for its
    effect."""

    conductor: Conductor
    processes: Processes
    roster: Roster
    reloads: Reloads
    logs: Logs
    loop: Loop
    _opened: bool
    _started: bool
    _end_asked: bool

    def __init__(self) -> None:
        self._lock = threading.RLock()  # held by whoever changes anything; never while waiting for events
        self._turn = threading.RLock()  # held by whoever runs the loop to an end
        self._waiting: deque[Callable[[], Any]] = deque()

    @abstractmethod
    def _open(self) -> None: ...

    def _call(self, call: Callable[[], Result]) -> Result:
        """Does it now, in this thread, between two turns of the loop."""
        with self._lock:
            self._open()
            result = call()
        self.loop.wake()  # its timer may have to be set anew
        return result

    def _change(self, call: Callable[[], Result]) -> Result:
        """As _call, unless everything is about to end: what starts now would be left behind."""

        def act() -> Result:
            if self._end_asked:
                raise RuntimeError("the supervisor is shutting down")
            return call()

        return self._call(act)

    def start(self, name: str) -> None:
        """Starts a service, or one instance, and all that it requires. From any thread. Raises KeyError, and
        RuntimeError after `shutdown`, as `restart`, `add`, `remove` and `reload` do."""
        self._change(lambda: self.reloads.start(self.units_named(name)))

    def stop(self, name: str) -> None:
        """Stops a service or instance, after those that require it; does not wait. From any thread. Raises KeyError."""
        self._call(lambda: self.reloads.stop(self.units_named(name)))

    def restart(self, name: str) -> None:
        """Stops a service or instance and starts it again; does not wait. From any thread. Raises KeyError."""
        self._change(lambda: self.reloads.restart(self.units_named(name)))

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to the main process of a service. From any thread. Raises KeyError."""
        self._each(name, lambda unit: self.processes.signal_main(unit, number))

    def reload_service(self, name: str) -> None:
        """Sends a service its reload signal. From any thread. Raises KeyError."""
        self._each(name, lambda unit: self.processes.signal_main(unit, unit.service.reload_signal))

    def _each(self, name: str, action: Callable[[Unit], None]) -> None:
        def act() -> None:
            for unit in self.units_named(name):
                action(unit)

        self._call(act)

    def reopen_logs(self) -> None:
        """Opens every log file anew: somebody else has renamed them. From any thread."""
        self._call(lambda: [s.pump.reopen() for u in self.roster.units.values() for s in u.streams if s.pump])

    def add(self, service: Service) -> None:
        """Adds a service and, with autostart, starts it. From any thread. Raises ValueError."""
        self._change(lambda: self.reloads.apply([*self.roster.services.values(), service]))

    def remove(self, name: str) -> None:
        """Stops a service and forgets it. From any thread. Raises KeyError; DependencyError if another comes after
        it."""

        def remove() -> None:
            self.roster.services[name]
            self.reloads.apply([service for service in self.roster.services.values() if service.name != name])

        self._change(remove)

    def reload(self, services: Iterable[Service], groups: Mapping[str, str] | None = None) -> Change:
        """Makes these the services: what is new starts, what is gone stops, what changed restarts (unless the change
        does not touch the process: `after`, `backoff`, timeouts …), all else goes on undisturbed. From any thread.
        Raises ValueError.
        """
        wanted = list(services)
        return self._change(lambda: self.reloads.apply(wanted, groups))

    def status(self) -> dict[str, Status]:
        """Every instance's status at this moment, by name. From any thread."""
        with self._lock:
            return {name: self._status(unit) for name, unit in self.roster.units.items()}

    def units(self) -> Mapping[str, Unit]:
        """The instances by name; for the modules of this package, in the supervisor's thread."""
        return self.roster.units

    def count(self, state: State) -> int:
        """How many instances are in a state."""
        return self.conductor.counts[state]

    def later(self, call: Callable[[], Any]) -> None:
        """Runs it in the supervisor's thread when what is under way is over."""
        self._waiting.append(call)
        self.loop.wake()

    def is_ending(self) -> bool:
        """Whether shutdown was asked for."""
        return self._end_asked

    def is_started(self) -> bool:
        """Whether start_all was called."""
        return self._started

    def set_taps(self, names: frozenset[str]) -> None:
        """Hands the log text of these instances to the observer; in the supervisor's thread."""
        for unit in self.roster.units.values():
            for stream in unit.streams:
                stream.tap(unit.name in names)

    def units_named(self, name: str) -> tuple[Unit, ...]:
        try:
            return self.roster.units_of(name)
        except KeyError:
            raise KeyError(f"no service called {name!r}") from None

    def _log_error(self, unit: Unit) -> str:
        if self._opened and unit.name in self.logs.errors:
            return f"log: {self.logs.errors[unit.name]}"
        return ""

    def _status(self, unit: Unit) -> Status:
        end, usage = unit.last_exit, unit.usage or (0, 0, 0)
        waiting = blockers(unit) if unit.state is State.WAITING and self._opened else ()
        return Status(
            name=unit.name,
            service=unit.service.name,
            state=unit.state.name.lower(),
            pid=unit.main_pid or unit.pid,
            ready=unit.state in UP,
            since_ns=unit.since_ns,
            uptime=(time.monotonic_ns() - unit.spawned_ns) / 1e9 if unit.pid else 0.0,
            restarts=unit.restarts,
            exit_code=end.code if end else None,
            exit_signal=end.signal if end else None,
            message=unit.message or self._log_error(unit),
            adopted=unit.adopted,
            wanted=unit.wanted,
            waiting_for=tuple(other.name for other in waiting),
            cpu_user=usage[0] / 1e6,
            cpu_system=usage[1] / 1e6,
            max_rss=usage[2],
        )
