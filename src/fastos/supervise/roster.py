"""Which services there are: their instances, who comes after whom, and who is restarted together."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from fastos.supervise.graph import start_order
from fastos.supervise.service import Service
from fastos.supervise.unit import RestartGroup, Unit

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

STRATEGIES: Final = ("one_for_one", "one_for_all", "rest_for_one")


def check_services(services: Iterable[Service], groups: Mapping[str, str]) -> dict[str, Service]:
    """The services by name, in an order to start them in. Raises ValueError (DependencyError for the order)."""
    by_name: dict[str, Service] = {}
    units: dict[str, str] = {}
    for service in services:
        if not isinstance(service, Service):
            raise TypeError(f"expected a Service, not {service!r}")
        if service.name in by_name:
            raise ValueError(f"there are two services called {service.name!r}")
        by_name[service.name] = service
        for name in service.unit_names():
            if units.setdefault(name, service.name) != service.name:
                raise ValueError(f"services {units[name]!r} and {service.name!r} both have an instance called {name!r}")
        if service.restart_group and service.restart_group not in groups:
            raise ValueError(
                f"service {service.name!r}: restart_group {service.restart_group!r} has no strategy in groups"
            )
    for group, strategy in groups.items():
        if strategy not in STRATEGIES:
            raise ValueError(f"group {group!r}: expected one of {', '.join(STRATEGIES)}; not {strategy!r}")
    order = start_order({name: (*service.after, *service.requires) for name, service in by_name.items()})
    return {name: by_name[name] for name in order}


class Roster:
    """The units by name, wired to each other."""

    def __init__(self, owner: "Supervisor", groups: Mapping[str, str]) -> None:
        self._owner = owner
        self.groups = dict(groups)
        self.services: dict[str, Service] = {}
        self.units: dict[str, Unit] = {}
        self._of_service: dict[str, tuple[Unit, ...]] = {}

    def units_of(self, name: str) -> tuple[Unit, ...]:
        """The instances of a service, or the one instance called so. Raises KeyError."""
        if name in self._of_service:
            return self._of_service[name]
        return (self.units[name],)

    def create(self, service: Service) -> list[Unit]:
        """Makes the units of a service that are not there yet."""
        fresh = []
        for number, name in enumerate(service.unit_names(), 1):
            if name not in self.units:
                self.units[name] = Unit(self._owner, service, name, number)
                fresh.append(self.units[name])
        self.services[service.name] = service
        self._of_service[service.name] = tuple(self.units[name] for name in service.unit_names())
        return fresh

    def delete(self, unit: Unit) -> None:
        self.units.pop(unit.name, None)
        left = tuple(other for other in self._of_service.get(unit.service.name, ()) if other is not unit)
        if left:
            self._of_service[unit.service.name] = left
        else:
            self._of_service.pop(unit.service.name, None)
            self.services.pop(unit.service.name, None)

    def wire(self) -> None:
        """Works out anew who depends on whom. Linear in the number of units and dependencies."""
        groups = {name: RestartGroup(name, strategy) for name, strategy in self.groups.items()}
        for unit in self.units.values():
            unit.dependents = None
            unit.group = None
        for unit in self.units.values():
            service = unit.service
            if service.after or service.requires:
                unit.requires = self._named(service.requires)
                unit.befores = tuple(dict.fromkeys((*unit.requires, *self._named(service.after))))
                for other in unit.befores:
                    if other.dependents is None:
                        other.dependents = []
                    other.dependents.append(unit)
            else:
                unit.requires = unit.befores = ()
        if groups:
            self._wire_groups(groups)

    def _wire_groups(self, groups: dict[str, RestartGroup]) -> None:
        """Members stand in an order in which they can start: stopped the other way round, none waits for another that
        waits for it."""
        edges = {name: (*service.after, *service.requires) for name, service in self.services.items()}
        known = {name: [other for other in others if other in edges] for name, others in edges.items()}
        for name in start_order(known):
            service = self.services[name]
            if service.restart_group in groups:
                for unit in self._of_service.get(name, ()):
                    unit.group = groups[service.restart_group]
                    unit.group.adopt(unit)

    def _named(self, names: Iterable[str]) -> tuple[Unit, ...]:
        return tuple(unit for name in names for unit in self._of_service.get(name, ()))
