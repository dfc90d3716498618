"""What differs between two sets of services, and whether the difference touches the process."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastos.supervise.roster import check_services
from fastos.supervise.service import Service
from fastos.supervise.states import DOWN
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
    """Makes a running supervisor's services those of a new set."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._after_down: dict[str, Callable[[], None]] = {}  # by instance: what to do when it is down
        self._wiring = False

    def forget(self) -> None:
        """Everything ends: nothing is to be done afterwards."""
        self._after_down.clear()

    def apply(self, services: Iterable[Service], groups: Mapping[str, str] | None = None) -> Change:
        """Checks the new set, then does what differs. Raises as Supervisor() does, and nothing has changed then."""
        roster = self._supervisor.roster
        strategies = roster.groups if groups is None else dict(groups)
        checked = check_services(services, strategies)
        change = compare(roster.services, checked)
        wanted = {name for name, unit in roster.units.items() if unit.wanted}
        roster.groups = strategies
        for name in change.removed:
            for unit in roster.units_of(name):
                self.drop_when_down(unit)
        for name in (*change.restarted, *change.updated):
            self._replace(checked[name], name in change.restarted, wanted)
        for name in change.added:
            self._create(checked[name], checked[name].autostart and self._supervisor.is_started())
        roster.wire()
        return change

    def changed(self, unit: Unit) -> None:
        """A unit's state changed: it may be down at last."""
        if self._after_down and unit.state in DOWN and unit.name in self._after_down:
            self._supervisor.later(self._after_down.pop(unit.name))

    def drop_when_down(self, unit: Unit) -> None:
        """Stops a unit and forgets it."""
        self._when_down(unit, lambda: self._drop(unit))

    def _when_down(self, unit: Unit, action: Callable[[], None]) -> None:
        unit.wanted = False
        if unit.state in DOWN:
            action()
        else:
            self._after_down[unit.name] = action
            self._supervisor.conductor.stop([unit])

    def _create(self, service: Service, start: bool) -> None:
        supervisor = self._supervisor
        for unit in supervisor.roster.create(service):
            supervisor.conductor.add(unit)
            supervisor.logs.open(unit)
            if start:
                supervisor.later(lambda unit=unit: supervisor.conductor.start(unit))  # type: ignore[misc]

    def _replace(self, service: Service, restart: bool, wanted: set[str]) -> None:
        """`wanted`: the instances that were, before this reload stopped any."""
        conductor = self._supervisor.conductor
        old = self._supervisor.roster.units_of(service.name)
        names = service.unit_names()
        for unit in old:
            if unit.name not in names:
                self.drop_when_down(unit)
            elif not restart:
                unit.service = service
            else:
                # Those that require it stop before it, and come back with it.
                again = [other for other in conductor.with_requirers([unit]) if other.name in wanted]
                self._when_down(unit, lambda unit=unit, again=again: self._exchange(unit, service, again))  # type: ignore[misc]
        self._create(service, start=any(unit.name in wanted for unit in old))

    def _exchange(self, unit: Unit, service: Service, again: list[Unit]) -> None:
        supervisor = self._supervisor
        supervisor.processes.forget(unit.service)
        logs_differ = (unit.service.log, unit.service.error_log) != (service.log, service.error_log)
        unit.service = service
        if logs_differ:
            for stream in unit.streams:
                stream.close()
            supervisor.logs.open(unit)
        for other in again:
            supervisor.later(lambda other=other: self._start_again(other))  # type: ignore[misc]

    def _start_again(self, unit: Unit) -> None:
        """Unless it is gone by now, or goes."""
        known = self._supervisor.roster.units.get(unit.name)
        if known is unit and unit.name not in self._after_down and not unit.wanted:
            self._supervisor.conductor.start(unit)

    def _drop(self, unit: Unit) -> None:
        supervisor = self._supervisor
        for stream in unit.streams:
            stream.close()
        unit.streams = ()
        supervisor.processes.forget(unit.service)
        supervisor.conductor.remove(unit)
        supervisor.roster.delete(unit)
        if not self._wiring:  # once, however many go at the same time
            self._wiring = True
            supervisor.later(self._wire)

    def _wire(self) -> None:
        self._wiring = False
        self._supervisor.roster.wire()
