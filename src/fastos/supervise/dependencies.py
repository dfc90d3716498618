"""Who waits for whom: questions that the conductor asks of units wired to each other. Nothing is changed here."""

from collections.abc import Iterable
from typing import Final

from fastos.supervise.states import ALIVE, State
from fastos.supervise.unit import Unit

_STARTED: Final = frozenset({State.RUNNING, State.RELOADING, State.EXITED})


def with_requirers(units: Iterable[Unit]) -> list[Unit]:
    """The units, and all that require one of them, directly or not."""
    found: list[Unit] = []
    todo = list(units)
    seen = set(map(id, todo))
    while todo:
        unit = todo.pop()
        found.append(unit)
        for dependent in unit.dependents or ():
            if unit in dependent.requires and id(dependent) not in seen:
                seen.add(id(dependent))
                todo.append(dependent)
    return found


def blockers(unit: Unit) -> list[Unit]:
    """Whom a waiting unit waits for."""
    return [other for other in unit.befores if not lets_start(other, unit)]


def lets_start(other: Unit, unit: Unit) -> bool:
    """Whether `unit`, which comes after `other`, may start as far as that is concerned."""
    if other.stop_pending and other.wanted:
        return False  # it is about to be restarted
    if other.service.readiness.kind == "exit" and other.state is not State.EXITED:
        satisfied = False
    else:
        satisfied = other.state in _STARTED
    return satisfied or (
        other not in unit.requires and (other.state is State.FAILED or not (other.wanted or other.state in ALIVE))
    )


def goes_down_before(dependent: Unit, unit: Unit) -> bool:
    """Whether `unit` is not to be stopped before `dependent`, which requires it and is on its way down."""
    return dependent.is_leaving() and unit in dependent.requires
