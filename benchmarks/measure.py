"""How the benchmarks measure: comparisons run in turns (A B A B …), judged by ratios, each run's result checked.

A comparison has implementations of one operation. One of them is ours, one may be the floor (the bare C loop), the
others are peers. All run once in every round, in an order that turns, so that whatever else the machine does meets
all alike. A ratio is the median over the rounds of the ratio within one round.
"""

import contextlib
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

OURS, FLOOR = "fastos", "floor"


@dataclass(frozen=True)
class Sample:
    """One run: how long it took, and what it found, to be checked."""

    seconds: float
    found: Any
    cpu: float = 0.0  # user and system seconds, of this process and its children; filled in by run_once


class Missing(Exception):
    """An implementation that is not on this machine; the text says how to get it."""


Implementation = Callable[[Any], Sample]


@dataclass(frozen=True)
class Bound:
    """numerator ÷ denominator is at most or at least so much."""

    numerator: str
    denominator: str
    at_most: float | None = None
    at_least: float | None = None

    def met(self, ratio: float) -> bool:
        return (self.at_most is None or ratio <= self.at_most) and (self.at_least is None or ratio >= self.at_least)

    def __str__(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"


def faster_than(*peers: str) -> list[Bound]:
    return [Bound(peer, OURS, at_least=1.0) for peer in peers]


@dataclass(frozen=True)
class Comparison:
    """An operation and its implementations.

    `place` is a context manager that yields what every implementation is called with and the result expected of each.
    `before` runs, untimed, before every single run. `unit` divides the seconds for display (runs a call, say).
    """

    name: str
    place: Callable[[], contextlib.AbstractContextManager[tuple[Any, Any]]]
    implementations: dict[str, Implementation]
    bounds: list[Bound] = field(default_factory=list)
    before: Callable[[], None] | None = None
    items: int = 1
    unavailable: Callable[[], str | None] = lambda: None
    rounds: int | None = None


@dataclass(frozen=True)
class Figure:
    """A single number (of memory, say) and what it must not exceed."""

    name: str
    unit: str
    at_most: float
    measure: Callable[[], float]
    unavailable: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class Table:
    """A comparison of another shape, that writes its own table."""

    name: str
    report: Callable[[], str]


def markdown(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    cells = [header, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]

    def line(values: tuple[str, ...]) -> str:
        return "| " + " | ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(header), rule, *map(line, lines)])


@dataclass
class Outcome:
    """A comparison's samples by implementation, round by round; why one is absent; what one did wrong."""

    comparison: Comparison
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(sample.seconds for sample in self.samples[name])

    def cpu(self, name: str) -> float:
        return statistics.median(sample.cpu for sample in self.samples[name])

    def ratio(self, numerator: str, denominator: str) -> float | None:
        if numerator not in self.samples or denominator not in self.samples:
            return None
        pairs = zip(self.samples[numerator], self.samples[denominator], strict=True)
        return statistics.median(above.seconds / below.seconds for above, below in pairs)


def timed(work: Callable[[Any], Any], count: Callable[[Any], Any] = len) -> Implementation:
    """An implementation in this process. What it returns is counted, and freed, after the clock has stopped."""

    def run(place: Any) -> Sample:
        gc.collect()
        begin = time.perf_counter()
        result = work(place)
        seconds = time.perf_counter() - begin
        return Sample(seconds, count(result))

    return run


@contextlib.contextmanager
def no_place() -> Iterator[tuple[None, None]]:
    yield None, None


@contextlib.contextmanager
def one_cpu() -> Iterator[tuple[None, None]]:
    """Everything on one CPU, also what is started: for what starts one process at a time and waits for it.

    At each exec the kernel looks for the CPU that had less to do, and where it moves the process there, 50 to 80 µs
    are lost to the move. Whether it does depends on the load of the moments before, for a floor as for its rival.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None, None
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield None, None
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def run_once(comparison: Comparison, name: str, place: Any, expected: Any) -> Sample:
    """One checked run. Raises Missing, or AssertionError when the result is not the one expected."""
    if comparison.before:
        comparison.before()
    before = cpu_seconds()
    sample = comparison.implementations[name](place)
    sample = replace(sample, cpu=cpu_seconds() - before)
    if expected is not None and sample.found != expected:
        raise AssertionError(f"found {sample.found}, expected {expected}")
    return sample


def usable(comparison: Comparison, place: Any, expected: Any, outcome: Outcome) -> list[str]:
    """Warms every implementation up; those that are missing or wrong are noted and left out of the rounds."""
    names = []
    for name in comparison.implementations:
        try:
            run_once(comparison, name, place, expected)
            names.append(name)
        except Missing as reason:
            outcome.missing[name] = str(reason)
        except (AssertionError, OSError, NotImplementedError, AttributeError, ImportError) as problem:
            outcome.wrong[name] = f"{type(problem).__name__}: {problem}"
    return names


def compare(comparison: Comparison, rounds: int) -> Outcome:
    outcome = Outcome(comparison)
    with comparison.place() as (place, expected):
        names = usable(comparison, place, expected, outcome)
        outcome.samples = {name: [] for name in names}
        for turn in range(comparison.rounds or rounds):
            shift = turn % max(1, len(names))
            for name in names[shift:] + names[:shift]:
                outcome.samples[name].append(run_once(comparison, name, place, expected))
    return outcome


def cases(comparisons: list[Comparison]) -> list[Any]:
    """pytest parameters: one for every implementation of every comparison."""
    return [
        pytest.param(comparison, name, id=f"{comparison.name} · {name}")
        for comparison in comparisons
        for name in comparison.implementations
    ]


def check_with_pytest(benchmark: Any, comparison: Comparison, name: str) -> None:
    """The body of every bench_*.py test: grouped by operation, the result asserted."""
    if reason := comparison.unavailable():
        pytest.skip(reason)
    benchmark.group = comparison.name
    with comparison.place() as (place, expected):
        try:
            run_once(comparison, name, place, expected)
        except Missing as reason:
            pytest.skip(str(reason))
        benchmark.pedantic(lambda: run_once(comparison, name, place, expected), rounds=5)


def tree(name: str, what: str = "entries") -> Callable[[], contextlib.AbstractContextManager[tuple[Path, Any]]]:
    """The place of a tree: its path, and one of its counts as the expected result."""
    from benchmarks import trees

    @contextlib.contextmanager
    def place() -> Iterator[tuple[Path, Any]]:
        root, counts = trees.ensure(name)
        yield root, getattr(counts, what)

    return place
