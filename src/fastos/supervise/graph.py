"""The order of services: who comes after whom, checked for names that do not exist and for cycles."""

from collections.abc import Iterable, Mapping


class DependencyError(ValueError):
    """A service names one that does not exist, or services wait for each other in a circle (`.cycle` is that
    circle)."""

    def __init__(self, message: str, cycle: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cycle = cycle


def _check_names(edges: Mapping[str, Iterable[str]]) -> None:
    for name, befores in edges.items():
        for before in befores:
            if before not in edges:
                known = ", ".join(sorted(edges)[:20])
                raise DependencyError(f"service {name!r} comes after {before!r}, which is none of {known}")


def find_cycle(edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A circle of names, the first repeated at its end, or (). Linear, and without recursion."""
    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif name in on_path:
                return (*path[path.index(name) :], name)
            elif name not in done:
                path.append(name)
                on_path.add(name)
                stack.append((name, False))
                stack.extend((before, True) for before in edges[name])
    return ()


def start_order(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """The names so that each stands behind all that it comes after; otherwise in the order given.

    `edges` maps a name to those that it comes after. Raises DependencyError for a name that does not exist and for
    a cycle, which it prints. The order to stop in is the reverse.
    """
    _check_names(edges)
    if cycle := find_cycle(edges):
        raise DependencyError(f"services wait for each other in a circle: {' -> '.join(cycle)}", cycle)
    order: list[str] = []
    placed: set[str] = set()
    for start in edges:
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                if name not in placed:
                    placed.add(name)
                    order.append(name)
            elif name not in placed:
                stack.append((name, False))
                stack.extend((before, True) for before in reversed(list(edges[name])))
    return order
