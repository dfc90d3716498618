"""What differs between two sets of services, and whether the difference touches the process."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastos.supervise.dependencies import with_requirers
from fastos.supervise.roster import check_services
from fastos.supervise.service import Service
from fastos.supervise.states import ALIVE, DOWN, UP
from fastos.supervise.unit import Unit

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

LIVE: Final = frozenset(
    {
        "restart",
        "success_codes",
        "backoff",
        "restart_limit",
        "after",
        "requires",
        "start_timeout",
        "stop_timeout",
        "stop_signal",
        "reload_signal",
        "autostart",
        "restart_group",
        "health",
        "instances",
        "notify_access",
    }
)
"""Options whose change needs no restart."""


@dataclass(frozen=True, slots=True)
class Change:
    """The names of services by what a reload did to them."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]


def touches_process(old: Service, new: Service) -> bool:
    names = [field.name for field in dataclasses.fields(Service) if field.name not in LIVE]
    return any(getattr(old, name) != getattr(new, name) for name in names)


def compare(old: Mapping[str, Service], new: Mapping[str, Service]) -> Change:
    kept = [name for name in new if name in old]
    changed = [name for name in kept if old[name] != new[name]]
    restarted = [name for name in changed if touches_process(old[name], new[name])]
    return Change(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in reversed(list(old)) if name not in new),
        restarted=tuple(restarted),
        updated=tuple(name for name in changed if name not in restarted),
        unchanged=tuple(name for name in kept if name not in changed),
    )


class Reloads:
    """Makes a running supervisor's services those of a new set.

    A service whose process is touched is stopped, and becomes the new one when it has no child: `_coming`. Who is only
    stopped for that comes back when nothing that it requires is on its way any more: `returning`. A service that is
    gone is forgotten when it is down: `_leaving`. A reload may come before the last one is over.
    """

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._coming: dict[str, Service] = {}  # by instance
        self._leaving: set[str] = set()
        self.returning: dict[str, None] = {}  # in the order in which they were stopped
        self._wiring = False

    def forget(self) -> None:
        """Everything ends: nothing is to be done afterwards."""
        self._coming.clear()
        self._leaving.clear()
        self.returning.clear()

    def is_over(self) -> bool:
        """Whether everything is as it was asked for."""
        return not (self._coming or self._leaving or self.returning or self._wiring)

    def apply(self, services: Iterable[Service], groups: Mapping[str, str] | None = None) -> Change:
        """Checks the new set, then does what differs. Raises as Supervisor() does, and nothing has changed then."""
        roster = self._supervisor.roster
        strategies = roster.groups if groups is None else dict(groups)
        checked = check_services(services, strategies)
        known = {name: service for name, service in roster.services.items() if not self._is_leaving(name)}
        change = compare(known, checked)
        wanted = {name for name, unit in roster.units.items() if unit.wanted} | self.returning.keys()
        roster.groups = strategies
        gone = [unit for name in change.removed for unit in roster.units_of(name)]
        for name in (*change.restarted, *change.updated):
            gone += self._replace(checked[name], name in change.restarted, wanted)
        for name in change.added:
            self._create(checked[name], checked[name].autostart and self._supervisor.is_started())
        self.drop_when_down(gone)
        roster.wire()
        self._supervisor.conductor.look_again(roster.units.values())
        return change

    def _is_leaving(self, name: str) -> bool:
        return all(unit.name in self._leaving for unit in self._supervisor.roster.units_of(name))

    # -- commands, which may come in between

    def start(self, units: Iterable[Unit]) -> None:
        """Starts them; who is to change first, or requires one that is, when that is done."""
        for unit in self._free(units):
            self._supervisor.conductor.start(unit)

    def restart(self, units: Iterable[Unit]) -> None:
        """As `start`: who is to change will be started anew by that."""
        for unit in self._free(units):
            self._supervisor.conductor.restart(unit)

    def _free(self, units: Iterable[Unit]) -> Iterator[Unit]:
        for unit in units:
            if self._is_held(unit):
                self.returning[unit.name] = None
            else:
                yield unit

    def stop(self, units: Iterable[Unit]) -> None:
        """Stops them, and they stay down."""
        conductor = self._supervisor.conductor
        doomed = with_requirers(units)
        for unit in doomed:
            self.returning.pop(unit.name, None)
        conductor.stop_in_order(doomed)

    def _is_held(self, unit: Unit) -> bool:
        """Whether it, or one that it requires, directly or not, is still to become another."""
        todo, seen = [unit], set()
        while self._coming and todo:
            other = todo.pop()
            if other.name in self._coming:
                return True
            if other.name not in seen:
                seen.add(other.name)
                todo.extend(other.requires)
        return False

    # -- what differs

    def _create(self, service: Service, start: bool) -> None:
        supervisor = self._supervisor
        for unit in supervisor.roster.create(service):
            supervisor.conductor.add(unit)
            supervisor.logs.open(unit)
            if start:
                supervisor.later(lambda unit=unit: supervisor.conductor.start(unit))  # type: ignore[misc]
        for unit in supervisor.roster.units_of(service.name):
            if unit.name in self._leaving:  # it was to go, and is wanted again
                self._leaving.discard(unit.name)
                self._exchange_when_down(unit, service, [unit] if start else [])

    def _replace(self, service: Service, restart: bool, wanted: set[str]) -> list[Unit]:
        """`wanted`: the instances that were, before this reload stopped any. Returns those that are to go."""
        old = self._supervisor.roster.units_of(service.name)
        kept = [unit for unit in old if unit.name in service.unit_names()]
        for unit in kept:
            if unit.name in self._leaving:
                continue  # see _create
            if restart:
                # Those that require it stop before it, and come back with it.
                again = [other for other in with_requirers([unit]) if other.name in wanted]
                self._exchange_when_down(unit, service, again)
            elif unit.name in self._coming:
                self._coming[unit.name] = service
            else:
                self._update(unit, service)
        self._create(service, start=any(unit.name in wanted for unit in old))
        return [unit for unit in old if unit not in kept]

    def _update(self, unit: Unit, service: Service) -> None:
        """A change that does not touch the process."""
        asker, old = self._supervisor.asker, unit.service
        self._supervisor.processes.forget(old)
        unit.service = service
        if old.health != service.health and unit.state in UP:
            asker.end(unit)
            asker.begin_health(unit)

    def _exchange_when_down(self, unit: Unit, service: Service, again: list[Unit]) -> None:
        self._coming[unit.name] = service
        self.returning.update((other.name, None) for other in again)
        if unit.state in DOWN:
            self._exchange(unit)
        else:
            self._supervisor.conductor.stop([unit])

    def drop_when_down(self, units: Iterable[Unit]) -> None:
        """Stops units and forgets them. Who required one of them goes on: it does not any more."""
        alive = []
        for unit in units:
            unit.wanted = False
            self._leaving.add(unit.name)
            self._coming.pop(unit.name, None)
            self.returning.pop(unit.name, None)
            if unit.state in DOWN:
                self._drop(unit)
            else:
                alive.append(unit)
        self._supervisor.conductor.stop_in_order(alive)

    # -- when they are down

    def changed(self, unit: Unit) -> None:
        """A unit's state changed: it may be down at last."""
        if unit.state not in ALIVE and unit.name in self._coming:
            self._exchange(unit)
        if unit.state in DOWN and unit.name in self._leaving:
            self._supervisor.later(lambda: self._drop(unit))

    def _exchange(self, unit: Unit) -> None:
        supervisor, service = self._supervisor, self._coming.pop(unit.name)
        supervisor.processes.forget(unit.service)
        logs_differ = (unit.service.log, unit.service.error_log) != (service.log, service.error_log)
        unit.service = service
        if logs_differ:
            for stream in unit.streams:
                stream.close()
            supervisor.logs.open(unit)
        self._wire_later()

    def _drop(self, unit: Unit) -> None:
        if unit.name not in self._leaving or unit.state not in DOWN:
            return  # it is wanted again
        supervisor = self._supervisor
        self._leaving.discard(unit.name)
        for stream in unit.streams:
            stream.close()
        unit.streams = ()
        supervisor.processes.forget(unit.service)
        supervisor.conductor.remove(unit)
        supervisor.roster.delete(unit)
        self._wire_later()

    def _wire_later(self) -> None:
        """Once, however many change at the same time."""
        if not self._wiring:
            self._wiring = True
            self._supervisor.later(self._wire)

    def _wire(self) -> None:
        supervisor = self._supervisor
        self._wiring = False
        supervisor.roster.wire()
        for name in list(self.returning):
            unit = supervisor.roster.units.get(name)
            if unit is None or not self._is_held(unit):
                del self.returning[name]
                if unit is not None and not unit.wanted:
                    supervisor.conductor.start(unit)
        supervisor.conductor.look_again(supervisor.roster.units.values())
