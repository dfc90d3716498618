"""Plays the table of states over all services: who may start, what an end means, who has to stop first.

It knows neither processes nor descriptors: children, probes and clock are given to it, fakes in tests. Every event goes
through one queue, so that a chain of ten thousand services that start each other needs no stack, and costs each service
only what depends on it.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from fastos.supervise.dependencies import goes_down_before, lets_start, with_requirers
from fastos.supervise.policy import History, verdict
from fastos.supervise.states import ALIVE, DOWN, LEAVING, TABLE, UP, Action, Event, ImpossibleEvent, State
from fastos.supervise.timers import Timers
from fastos.supervise.unit import UNSETTLED, Exit, Unit


class Children(Protocol):
    """What makes and ends processes."""

    def spawn(self, unit: Unit) -> None:
        """Starts the child; raises OSError."""

    def terminate(self, unit: Unit) -> None: ...
    def kill(self, unit: Unit) -> None: ...


class Probes(Protocol):
    """What asks services how they are."""

    def begin_readiness(self, unit: Unit) -> bool:
        """Begins to look for readiness; True if there is nothing to wait for."""

    def begin_health(self, unit: Unit) -> None: ...
    def end(self, unit: Unit) -> None: ...


class Conductor:
    """Decides; see the module. `changed(unit, before)` is called after each change of state."""

    def __init__(
        self,
        timers: Timers,
        children: Children,
        probes: Probes,
        changed: Callable[[Unit, State], None],
        give_up: Callable[[Unit], None],
        clock: Callable[[], int] = time.monotonic_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._timers = timers
        self._children = children
        self._probes = probes
        self._changed = changed
        self._give_up = give_up
        self._clock = clock
        self._chance = chance
        self._queue: deque[tuple[Unit, Event]] = deque()
        self._draining = False
        self._over = False
        self.counts: Counter[State] = Counter()
        self._perform: Final[dict[Action, Callable[[Unit], None]]] = {
            Action.SPAWN: self._spawn,
            Action.TERMINATE: self._terminate,
            Action.KILL: self._kill,
            Action.DELAY: self._delay,
            Action.BECOME_READY: self._become_ready,
            Action.AWAIT_RELOAD: self._await_reload,
            Action.FORGET: self._forget,
        }

    # -- what is asked for

    def add(self, unit: Unit) -> None:
        self.counts[unit.state] += 1

    def remove(self, unit: Unit) -> None:
        self.counts[unit.state] -= 1
        self._timers.cancel(unit)

    def place(self, unit: Unit, state: State) -> None:
        """Puts a unit into a state that it was in before this conductor knew it."""
        self.counts[unit.state] -= 1
        self.counts[state] += 1
        unit.state = state

    def await_readiness(self, unit: Unit) -> None:
        """Looks for the readiness of a unit that is starting."""
        if self._probes.begin_readiness(unit):
            self._queue.append((unit, Event.READY))
            if not self._draining:
                self._drain()
        elif unit.service.start_timeout and unit.service.readiness.kind != "exit":
            self._timers.after(unit, unit.service.start_timeout)

    def start(self, unit: Unit) -> None:
        """Wants the unit, and all that it requires."""
        todo = [] if self._over else [unit]
        while todo:
            wanted = todo.pop()
            if not wanted.wanted or wanted is unit or wanted.state is State.FAILED:
                wanted.stop_pending = wanted.stop_pending and wanted.wanted  # a restart under way goes on
                wanted.wanted = True
                todo.extend(other for other in wanted.requires if not other.wanted or other.state is State.FAILED)
                self.post(wanted, Event.START)
                if wanted.state is State.WAITING:
                    self._go_if_free(wanted)
                self._release_group(wanted)

    def stop(self, units: Iterable[Unit]) -> None:
        """Wants the units no more, nor any that require them; each is told when those that depend on it are down."""
        self.stop_in_order(with_requirers(units))

    def stop_for_good(self, units: Iterable[Unit]) -> None:
        """Stops them, and starts nothing any more, whatever is asked for later."""
        self._over = True
        self.stop(units)

    def stop_in_order(self, doomed: list[Unit]) -> None:
        """As `stop`, but those that require one of them are left alone."""
        for unit in doomed:
            unit.wanted = False
            unit.stop_pending = True
        for unit in doomed:
            self._stop_if_free(unit)

    def restart(self, unit: Unit) -> None:
        """Starts the unit anew, and with it those wanted ones that require it: they stop before and start after it."""
        if self._over:
            return
        again = [other for other in with_requirers([unit]) if other is unit or other.wanted]
        for other in unit.requires:
            if not other.wanted or other.state is State.FAILED:
                self.start(other)
        unit.wanted = True
        self._restart_in_order(again)

    def look_again(self, units: Iterable[Unit]) -> None:
        """Lets go who waited, to start or to stop, for somebody whom it does not depend on any more."""
        for unit in units:
            if unit.stop_pending:
                self._stop_if_free(unit)
            if unit.state is State.WAITING:
                self._go_if_free(unit)

    def _restart_in_order(self, units: Iterable[Unit]) -> None:
        pending = list(units)
        for unit in pending:
            unit.stop_pending = True
        for unit in pending:
            if unit.stop_pending:
                self._stop_if_free(unit)

    # -- what happens

    def post(self, unit: Unit, event: Event) -> None:
        """Puts an event to the table, after those that are under way."""
        self._queue.append((unit, event))
        if not self._draining:
            self._drain()

    def ended(self, unit: Unit, end: Exit) -> None:
        """The unit's child has ended and is gone."""
        unit.last_exit = end
        if unit.state not in ALIVE:
            raise ImpossibleEvent(f"{unit.name}: a child ended in state {unit.state.name}")
        self._draining, nested = True, self._draining  # what the verdict sets off comes with this event, not before
        try:
            event = self._judge(unit, end)
        finally:
            self._draining = nested
        self.post(unit, event)

    def expired(self, unit: Unit) -> None:
        """The deadline of the unit's state has passed."""
        self.post(unit, Event.TIMEOUT)

    # -- the machine

    def _drain(self) -> None:
        self._draining = True
        try:
            while self._queue:
                unit, event = self._queue.popleft()
                if event in (Event.STOP, Event.RESTART):
                    unit.stop_pending = False
                row = TABLE[unit.state][event]
                if row is None:
                    raise ImpossibleEvent(f"{unit.name}: {event.name} in state {unit.state.name}")
                state, actions = row
                before = unit.state
                if state is not before:
                    self._enter(unit, before, state)
                for action in actions:
                    self._perform[action](unit)
                if state is not before:
                    self._changed(unit, before)
                    self._settle(unit, before)
        finally:
            self._draining = False

    def _enter(self, unit: Unit, before: State, state: State) -> None:
        unit.state = state
        unit.since_ns = time.time_ns()
        self.counts[before] -= 1
        self.counts[state] += 1
        if not (before in LEAVING and state in LEAVING):
            self._timers.cancel(unit)
        if (unit.readiness is not None or unit.health is not None) and (state in LEAVING or state not in ALIVE):
            self._probes.end(unit)

    def _settle(self, unit: Unit, before: State) -> None:
        """Lets others go on that waited for this change."""
        state = unit.state
        if state is State.WAITING:
            if before not in DOWN and any(other.state is State.FAILED for other in unit.requires):
                self._bereave(unit, next(other for other in unit.requires if other.state is State.FAILED))
            self._go_if_free(unit)
        if unit.group is not None:
            self._settle_group(unit, before)
        if state is State.FAILED:
            self._fail_waiting(unit)
        if unit.dependents is not None and not (state in UP and before in UP):
            for dependent in unit.dependents:
                if dependent.state is State.WAITING:
                    self._go_if_free(dependent)
        if state not in ALIVE and unit.befores:
            for other in unit.befores:
                if other.stop_pending:
                    self._stop_if_free(other)
        if unit.stop_pending and state not in ALIVE and state is not State.STOPPED:
            self._stop_if_free(unit)

    def _fail_waiting(self, failed: Unit) -> None:
        """Those that wait for a unit that they require fail with it; those that run go on."""
        for dependent in failed.dependents or ():
            if dependent.state is State.WAITING and dependent.wanted and failed in dependent.requires:
                self._bereave(dependent, failed)

    def _bereave(self, unit: Unit, failed: Unit) -> None:
        unit.message = f"{failed.name}, which it requires, has failed"
        self.post(unit, Event.BEREFT)

    def _settle_group(self, unit: Unit, before: State) -> None:
        group = unit.group
        assert group is not None
        group.unsettled += (unit.state in UNSETTLED) - (before in UNSETTLED)
        if not group.together:
            return
        if unit.state not in ALIVE and before in ALIVE:
            for member in group.members:
                if member.stop_pending:
                    self._stop_if_free(member)
        self._release_group(unit)

    def _release_group(self, unit: Unit) -> None:
        """Lets the waiting members go, if the group does not hold them."""
        if unit.group is not None and not unit.group.holds():
            for member in unit.group.members:
                if member.state is State.WAITING:
                    self._go_if_free(member)

    # -- gates

    def _go_if_free(self, unit: Unit) -> None:
        if not unit.wanted:
            return  # its stop is only put off until its dependents are down
        if unit.group is not None and unit.group.holds():
            return
        for other in unit.befores:
            if not lets_start(other, unit):
                return
        self.post(unit, Event.GO)

    def _stop_if_free(self, unit: Unit) -> None:
        """Stops, or restarts, a unit unless one that has to go before it is still there."""
        for dependent in unit.dependents or ():
            if dependent.state in ALIVE and (not dependent.wanted or goes_down_before(dependent, unit)):
                return
        group = unit.group
        if group is not None and group.together and unit.state in ALIVE:
            for member in reversed(group.members):
                if member is unit:
                    break
                if member.is_leaving():
                    return
        self.post(unit, Event.RESTART if unit.wanted else Event.STOP)
        if unit.wanted and unit.state is State.WAITING:
            self._go_if_free(unit)

    # -- what an end means

    def _judge(self, unit: Unit, end: Exit) -> Event:
        if unit.state in (State.STOPPING, State.RESTARTING):
            return Event.DIED_DONE
        service = unit.service
        result = -end.signal if end.signal is not None else end.code
        success = not end.lost and result in service.success_codes and unit.state is not State.ABORTING
        event = verdict(service.restart, success)
        if not unit.wanted and event is Event.DIED_RETRY:
            return Event.DIED_DONE if success else Event.DIED_FAILED
        if event is Event.DIED_RETRY:
            return self._limited(unit)
        return event

    def _limited(self, unit: Unit) -> Event:
        """A restart, unless that would be one too many."""
        history = unit.history
        if history is None:
            history = unit.history = History()
        now, service = self._clock(), unit.service
        if now - unit.spawned_ns >= service.backoff.reset_after * 1e9:
            history.attempts = 0
        limit = service.restart_limit
        if limit is not None and history.exceeds(limit, now):
            unit.message = f"restarted more than {limit.count} times in {limit.window:g} s"
            if limit.then == "shutdown":
                self._give_up(unit)
            elif unit.group is not None and unit.group.together:
                self._end_group(unit)
            return Event.DIED_FAILED
        unit.restarts += 1
        if unit.group is not None:
            self._restart_in_order([f for f in unit.group.fellows(unit) if f.wanted and f.state in ALIVE])
        return Event.DIED_RETRY

    def _end_group(self, failed: Unit) -> None:
        """One member has failed once too often: the group gives up, and the others stop."""
        assert failed.group is not None
        others = [member for member in failed.group.members if member is not failed and member.wanted]
        for member in others:
            member.message = f"stopped: {failed.name} of its group has failed"
        self.stop_in_order([unit for unit in with_requirers(others) if unit is not failed])

    # -- actions

    def _spawn(self, unit: Unit) -> None:
        unit.message = ""
        unit.spawned_ns = self._clock()
        try:
            self._children.spawn(unit)
        except OSError as error:
            unit.message = f"cannot start: {error}"
            unit.last_exit = Exit(code=127 if error.errno == 2 else 126)
            self._queue.append((unit, self._judge(unit, unit.last_exit)))
            return
        self.await_readiness(unit)

    def _terminate(self, unit: Unit) -> None:
        self._timers.after(unit, unit.service.stop_timeout)
        self._children.terminate(unit)

    def _kill(self, unit: Unit) -> None:
        # A process that even SIGKILL does not end hangs in the kernel: it is asked again, and stays in its state.
        self._timers.after(unit, max(unit.service.stop_timeout, 1.0))
        unit.message = "killed: it did not end in time"
        self._children.kill(unit)

    def _delay(self, unit: Unit) -> None:
        history = unit.history
        attempts = history.attempts if history is not None else 0
        delay = unit.service.backoff.delay(attempts, self._chance)
        if history is not None:
            history.attempts += 1
        self._timers.after(unit, delay)  # also with 0: a program that is missing must not be tried in a circle

    def _become_ready(self, unit: Unit) -> None:
        self._timers.cancel(unit)
        if unit.health is None:
            self._probes.begin_health(unit)

    def _await_reload(self, unit: Unit) -> None:
        if unit.service.start_timeout:
            self._timers.after(unit, unit.service.start_timeout)

    def _forget(self, unit: Unit) -> None:
        self._timers.cancel(unit)
        unit.history = None
