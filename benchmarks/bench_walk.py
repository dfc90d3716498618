"""fastos.walk, the drop-in with os.walk's contract, against os.walk and those who walk without it."""

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peers
from benchmarks.floors import floor
from benchmarks.measure import FLOOR, OURS, Bound, Comparison, cases, check_with_pytest, timed, tree


def names_of(walk: Any, root: Path) -> int:
    """The names that a walk gives, as its users write it."""
    return sum(len(directories) + len(files) for _, directories, files in walk(root))


def ours(root: Path) -> int:
    import fastos

    return names_of(fastos.walk, root)


def ours_bottom_up(root: Path) -> int:
    import fastos

    return names_of(lambda top: fastos.walk(top, topdown=False), root)


def ours_by_descriptor(root: Path) -> int:
    import fastos

    return sum(len(directories) + len(files) for _, directories, files, _ in fastos.fwalk(root))


def os_bottom_up(root: Path) -> int:
    return names_of(lambda top: os.walk(top, topdown=False), root)


def os_by_descriptor(root: Path) -> int:
    return sum(len(directories) + len(files) for _, directories, files, _ in os.fwalk(root))


def disk_usage(root: Path) -> int:
    """Every entry, read for its size: what has to come of it is checked by the tests."""
    import fastos

    usage = fastos.du(root)
    return usage.files + usage.directories


DU_BOUNDS = [Bound(name, OURS, at_least=1) for name in ("du", "gdu")]
COMPARISONS = [
    Comparison(
        "walk, million",
        tree("million"),
        {
            FLOOR: floor("walk", "-t", 1),
            OURS: timed(ours, count=int),
            **peers.chosen("os.walk", "os.walk + join", "scandir-rs"),
        },
        [Bound("os.walk", OURS, at_least=2.0)],
    ),
    *[
        Comparison(
            f"walk, {name}",
            tree(name),
            {OURS: timed(ours, count=int), **peers.chosen("os.walk")},
            [Bound("os.walk", OURS, at_least=1.0)],
        )
        for name in ("wide", "flat", "deep", "skewed", "mixed")
    ],
    Comparison(
        "walk bottom-up, wide",
        tree("wide"),
        {OURS: timed(ours_bottom_up, count=int), "os.walk": timed(os_bottom_up, count=int)},
        [Bound("os.walk", OURS, at_least=1.0)],
    ),
    Comparison(
        "fwalk, wide",
        tree("wide"),
        {OURS: timed(ours_by_descriptor, count=int), "os.fwalk": timed(os_by_descriptor, count=int)},
        [Bound("os.fwalk", OURS, at_least=1.0)],
    ),
    Comparison(
        "du, million",
        tree("million"),
        {OURS: timed(disk_usage, count=int), **peers.chosen("du", "gdu", among=peers.SIZES)},
        DU_BOUNDS,
    ),
]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_walk(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
