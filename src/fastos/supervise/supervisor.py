"""The supervisor: one thread, one epoll, and the public face of everything else in this package."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from fastos.supervise import limits, listeners
from fastos.supervise.children import Processes
from fastos.supervise.commands import Commands
from fastos.supervise.conductor import Conductor
from fastos.supervise.events import ServiceEvent
from fastos.supervise.intake import adopt_children
from fastos.supervise.latency import Latency
from fastos.supervise.log import Logs
from fastos.supervise.loop import Loop, available
from fastos.supervise.probes import Asker
from fastos.supervise.reload import Change, Reloads
from fastos.supervise.reports import Reports
from fastos.supervise.roster import Roster, check_services
from fastos.supervise.service import Service
from fastos.supervise.state_file import StateFile
from fastos.supervise.states import ALIVE, DOWN, UP, Event, State
from fastos.supervise.unit import Unit
from fastos.supervise.upgrade import take_over


class Supervisor(Commands):
    """Keeps services running.

        with Supervisor([Service("web", ["python3", "-m", "http.server"])]) as supervisor:
            supervisor.run()

    Parameters:
        services: what to supervise; checked in full, before anything starts.
        groups: name of a restart group -> `one_for_one`, `one_for_all` or `rest_for_one`.
        on_event: called with a ServiceEvent after each change, in the supervisor's thread; it must not block.
        control: path of the control socket (mode 0600), or None for none.
        metrics: path of a Unix socket, or "127.0.0.1:PORT", that answers HTTP with Prometheus text.
        state_file: where to keep which children there are, so that the next supervisor can adopt them if this one is
        killed.
        runtime_directory: where the notification socket is made; by default a new directory below the system's for
            temporary files.
        output: the descriptor that `log="own"` goes to. colour: whether names are coloured there (None: if it is a
        terminal).

    It opens nothing and starts nothing before `run`, `step`, `start` or `with`. SIGCHLD and its handler stay the
    application's.
    Raises TypeError, ValueError (DependencyError), and NotImplementedError where the platform has no epoll or pidfds.
    """

    def __init__(
        self,
        services: Iterable[Service] = (),
        *,
        groups: Mapping[str, str] | None = None,
        on_event: Callable[[ServiceEvent], object] | None = None,
        control: str | os.PathLike[str] | None = None,
        metrics: str | None = None,
        state_file: str | os.PathLike[str] | None = None,
        runtime_directory: str | os.PathLike[str] | None = None,
        output: int = 1,
        colour: bool | None = None,
    ) -> None:
        super().__init__()
        checked = check_services(services, groups or {})
        if lacking := available():
            raise NotImplementedError(f"supervision needs {lacking}, which {sys.platform} does not have")
        self.on_event = on_event
        self.reloader: Callable[[], Change] | None = None
        self.upgrader: Callable[[], None] | None = None
        self.inherited: Mapping[str, Any] | None = None  # what an earlier image left: upgrade.inherited()
        self.resumed: set[str] | None = None
        self.exit_code = 0
        self.latency = Latency()
        self._options = (control, metrics, state_file)
        self.runtime_directory = runtime_directory
        self._output = output
        self._colour = os.isatty(output) if colour is None else colour
        self.roster = Roster(self, groups or {})
        self._ending = self._end_asked = self._kill_asked = self._opened = self._started = False
        self.reloads = Reloads(self)
        self.reports = Reports(self)
        self.by_pid: dict[int, Unit] = {}
        self._last_end = 0
        self._extras: list[Any] = []  # control, metrics: closed with the supervisor
        self.listeners: dict[str, socket.socket] = {}
        self.observer: Any = None  # the control server: told of changes, and of log text that it wants
        self.state_file: StateFile | None = None
        for service in checked.values():
            self.roster.create(service)
        self.roster.wire()

    # -- opening and closing

    def _open(self) -> None:
        """Opens everything, once. Raises RuntimeError when it is closed."""
        with self._lock:
            if not self._opened:
                self.loop = Loop()
                self._opened = True
                self._open_all()
            elif self.loop.closed:
                raise RuntimeError("the supervisor is closed")

    def _open_all(self) -> None:
        inherited, self.inherited = self.inherited, None
        self.logs = Logs(self.loop, self._output, self._colour, self._tapped)
        self.logs.width = min(max(map(len, self.roster.units), default=8), 24)
        self.processes = Processes(self.loop, self.logs, self._sockets, self.reports.path, self._spawned)
        self.processes.limits = limits.raise_descriptors()
        self.asker = Asker(self.loop, self.processes, self._post)
        self.conductor = Conductor(self.loop.timers, self.processes, self.asker, self._changed, self._give_up)
        state_file = self._options[2]
        for unit in self.roster.units.values():
            self.conductor.add(unit)
        if inherited is not None:
            take_over(self, inherited)
        for unit in self.roster.units.values():
            if not unit.streams:
                self.logs.open(unit)
        if state_file is not None:
            self.state_file = StateFile(os.fspath(state_file))
            if inherited is None:
                adopt_children(self, self.state_file)
            self.state_file.rewrite(self.roster.units.values())
        self._open_extras()

    def _open_extras(self) -> None:
        control, metrics, _ = self._options
        if control is not None:
            from fastos.supervise.control import ControlServer

            self._extras.append(ControlServer(self, self.loop, os.fspath(control)))
        if metrics is not None:
            from fastos.supervise.metrics import MetricsServer

            self._extras.append(MetricsServer(self, self.loop, metrics))

    def close(self) -> None:
        """Releases everything. Ends, by SIGKILL, what still runs: `shutdown` and `run` end it in order."""
        if not self._opened or self.loop.closed:
            return
        while any(unit.pid for unit in self.roster.units.values()) or self.processes.corpses:
            for unit in self.roster.units.values():
                unit.wanted = False
                if unit.pid:
                    self.processes.kill(unit)
            self.step(1.0)
        for extra in self._extras:
            extra.close()
        for unit in self.roster.units.values():
            self.asker.end(unit)
            for stream in unit.streams:
                stream.close()
            unit.streams = ()
        self.logs.close()
        self.reports.close()
        for listener in self.listeners.values():
            listeners.close(listener)
        self.listeners.clear()
        if self.state_file is not None:
            self.state_file.close()
        limits.restore(self.processes.limits)
        self.loop.close()

    def __enter__(self) -> "Supervisor":
        try:
            self._open()
        except Exception:
            if not any(unit.pid for unit in self.roster.units.values()):  # those adopted are not to die of it
                self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.loop.closed:
            self._end()

    def _end(self) -> None:
        try:
            self.shutdown(self.exit_code)
            self._run_until(self._is_over)
        finally:
            self.close()

    # -- running

    def run(self, *, until_idle: bool = False) -> int:
        """Starts the services and keeps them running until `shutdown`; with `until_idle` also ends when all of them
        have ended for good. Returns the exit code: 0, what shutdown was given, or 1 if a restart limit ended it.
        """
        own = not self._opened
        self.__enter__()
        try:
            self._run_until(lambda: self._is_over() or (until_idle and self._is_idle()), self.start_all)
        finally:
            if own:
                self._end()
        return self.exit_code

    async def run_async(self, *, until_idle: bool = False) -> int:
        """`run` inside asyncio or trio (needs anyio). When cancelled it kills what runs, and closes."""
        import anyio

        self.__enter__()
        try:
            self.start_all()
            while not (self._is_over() or (until_idle and self._is_idle())):
                self.step(0)
                if not self._has_work():
                    with anyio.move_on_after(self.loop.seconds_left()):
                        await anyio.wait_readable(self.loop.fileno())
            return self.exit_code
        finally:
            if not self._is_over():
                self.shutdown(self.exit_code, now=True)
                self._run_until(self._is_over)
            self.close()

    def _has_work(self) -> bool:
        return bool(self._waiting) or (self._end_asked and not self._ending) or self._is_over()

    def step(self, timeout: float | None = 0.0) -> None:
        """Deals with what is ready; waits for it at most `timeout` seconds (None: as long as it takes)."""
        with self._lock:
            self._open()
            self._do_what_was_asked()
            self.loop.arm()
        ready = self.loop.poll(timeout)
        with self._lock:
            for watcher, events in ready:
                watcher.on_ready(events)
            for key in self.loop.timers.expired():
                if isinstance(key, Unit):
                    self.conductor.expired(key)
                else:
                    key.on_deadline()  # type: ignore[attr-defined]
            self._do_what_was_asked()
            self.loop.arm()

    def fileno(self) -> int:
        """A descriptor that is readable when `step` has something to do: for an event loop of your own."""
        self._open()
        return self.loop.fileno()

    def shutdown(self, exit_code: int = 0, *, now: bool = False) -> None:
        """Stops everything in order and lets `run` return; with `now` by SIGKILL. From any thread or a signal
        handler."""
        self.exit_code = exit_code or self.exit_code
        self._end_asked = True
        self._kill_asked = self._kill_asked or now
        if self._opened:
            self.loop.wake()

    def _run_until(self, over: Callable[[], bool], begin: Callable[[], None] = lambda: None) -> None:
        with self._turn, self.loop.woken_by_signals() as interrupts:
            begin()
            while not over() and not interrupts:
                self.step(None)

    def prepare_upgrade(self) -> None:
        """Lets go of what the next image makes anew: the control and metrics sockets, probes, half-written lines."""
        for extra in self._extras:
            extra.close()
        self._extras.clear()
        while True:  # the last step may have begun other checks
            for unit in self.roster.units.values():
                self.asker.end(unit)
            if not self.processes.corpses:
                break
            self.step(None)
        for unit in self.roster.units.values():
            for stream in unit.streams:
                stream.drain()

    def resume_after_failed_upgrade(self) -> None:
        """The exec did not happen: go on as before."""
        self._open_extras()
        for unit in self.roster.units.values():
            if unit.state is State.STARTING:
                self.asker.begin_readiness(unit)
            elif unit.state in UP:
                self.asker.begin_health(unit)

    def _is_over(self) -> bool:
        return self._ending and not any(self.conductor.counts[state] for state in ALIVE)

    def _is_idle(self) -> bool:
        return not any(count for state, count in self.conductor.counts.items() if state not in DOWN)

    def _do_what_was_asked(self) -> None:
        if self._end_asked and not self._ending:
            self._ending = True
            self.reloads.forget()
            self.conductor.stop_for_good(self.roster.units.values())
            self.loop.wake()  # who runs the loop looks again whether it is over, also if it had not begun
        if self._kill_asked:
            self._kill_asked = False
            for unit in self.roster.units.values():
                if unit.pid:
                    self.processes.kill(unit)
        while self._waiting:
            try:
                self._waiting.popleft()()
            except Exception:
                sys.excepthook(*sys.exc_info())

    def start_all(self) -> None:
        """Starts every service that has autostart; after an upgrade those that were wanted, and what is new."""
        if self._started or self._end_asked:
            return
        with self._lock:
            self._start_all()

    def _start_all(self) -> None:
        self._started = True
        for unit in list(self.roster.units.values()):
            resumed = self.resumed is not None and unit.name in self.resumed
            if unit.state is State.STOPPED and (unit.wanted if resumed else unit.service.autostart):
                self.conductor.start(unit)

    # -- what happens

    def child_ended(self, unit: Unit) -> None:
        """A pidfd became readable."""
        pid = unit.pid
        end = self.processes.reap(unit)
        if end is not None:
            self._last_end = time.monotonic_ns()
            self.by_pid.pop(pid, None)
            if self.state_file is not None:
                self.state_file.ended(unit)
            self.conductor.ended(unit, end)

    def _spawned(self, unit: Unit) -> None:
        self.by_pid[unit.pid] = unit
        if unit.last_exit is not None and self._last_end:
            self.latency.observe((time.monotonic_ns() - self._last_end) / 1e9)
        if self.state_file is not None:
            self.state_file.started(unit)

    def _post(self, unit: Unit, event: Event) -> None:
        self.conductor.post(unit, event)

    def _changed(self, unit: Unit, before: State) -> None:
        if self.on_event is not None:
            self.tell("state", unit, before)
        if self.observer is not None:
            self.observer.changed(unit)
        self.reloads.changed(unit)

    def tell(self, kind: str, unit: Unit, before: State) -> None:
        """Tells on_event, whose own errors are shown and change nothing."""
        if self.on_event is None:
            return
        event = ServiceEvent(
            kind,
            unit.name,
            unit.state.name.lower(),
            before.name.lower(),
            unit.pid,
            unit.last_exit,
            unit.message,
            time.time_ns(),
        )
        try:
            self.on_event(event)
        except Exception:
            sys.excepthook(*sys.exc_info())

    def _give_up(self, unit: Unit) -> None:
        self.shutdown(1)

    def _tapped(self, unit: Unit, text: bytes) -> None:
        if self.observer is not None:
            self.observer.tapped(unit, text)

    # -- sockets and files

    def _sockets(self, service: Service) -> list[int]:
        found = []
        for address in service.sockets:
            if address not in self.listeners:
                self.listeners[address] = listeners.listen(address)
            found.append(self.listeners[address].fileno())
        return found
