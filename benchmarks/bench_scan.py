"""fastos.scan against the bare loop and its peers."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuse, peers, trees
from benchmarks.floors import floor
from benchmarks.measure import FLOOR, OURS, Bound, Comparison, Figure, Sample, cases, check_with_pytest, timed, tree
from benchmarks.measure import faster_than as faster

CORES = len(os.sched_getaffinity(0))
RIVALS = ("fd", "bfs", "scandir-rs", "powerwalk")


def scan_paths(root: Path) -> list[str]:
    import fastos

    return list(fastos.scan(root).paths())


def scan_columns(root: Path) -> int:
    """Size and mtime of every entry as columns; the number of sizes."""
    import fastos

    count = 0
    with fastos.scan(root, fields=("size", "mtime_ns")) as scan:
        for batch in scan.batches():
            count += len(batch.column("size"))
            assert len(batch.column("mtime_ns")) == len(batch)
    return count


def scan_entries(root: Path) -> int:
    """Every entry as an object, its size read; the number of entries."""
    import fastos

    count = 0
    for entry in fastos.scan(root, fields=("size",)):
        count += entry.size >= 0
    return count


def scan_selected(root: Path) -> list[str]:
    """One file in a hundred, chosen by name."""
    import fastos

    return list(fastos.scan(root, where=fastos.field.name.glob("*17.[ch]")).paths())


def selected_by_walk(root: Path) -> list[str]:
    import re

    test = re.compile(r".*17\.[ch]\Z", re.DOTALL).match
    return [os.path.join(where, name) for where, _, files in os.walk(root) for name in files if test(name)]


def statx_floor(root: Path) -> Sample:
    return floor("walk", "-t", CORES, "-s")(root)


def paths_on(name: str, bounds: list[Bound], more: dict[str, Any] | None = None) -> Comparison:
    """All paths of one tree, by everyone."""
    return Comparison(
        f"paths, warm, {name}",
        tree(name),
        {
            FLOOR: floor("walk", "-t", CORES),
            OURS: timed(scan_paths),
            **peers.chosen("os.walk", "scandir-rs", "powerwalk", "fd", "bfs", "find"),
            **(more or {}),
        },
        bounds,
    )


MILLION_BOUNDS = [
    Bound(OURS, FLOOR, at_most=1.25),
    Bound("os.walk", OURS, at_least=2.7),
    *faster(*RIVALS),
]


@contextlib.contextmanager
def slow_place() -> Iterator[tuple[Path, int]]:
    with fuse.slow_tree(delay_us=1000) as place:
        yield place


@contextlib.contextmanager
def cold_place() -> Iterator[tuple[Path, int]]:
    with trees.cold() as (root, counts):
        yield root, counts.entries


SIZE_RIVALS = ("os.scandir + stat", "scandir-rs", "bfs -size", "du", "gdu")
SIZE_PEERS = peers.chosen(*SIZE_RIVALS, among=peers.SIZES)
# It lists files only: the directories are added to what it found.
RG = {"rg --files": peers.command("rg", "--files", "-uuu", "--null", "{}", extra=-51_020)}

COMPARISONS = [
    paths_on("million", MILLION_BOUNDS, more=peers.chosen("os.walk + join", "os.scandir") | RG),
    *[paths_on(name, faster("os.walk", *RIVALS)) for name in ("wide", "flat", "deep", "skewed")],
    paths_on("mixed", faster("os.walk", *RIVALS), more=peers.chosen("os.walk + join", "os.scandir", "pathlib")),
    Comparison(
        "size and mtime, columns, million",
        tree("million"),
        {FLOOR: statx_floor, OURS: timed(scan_columns, count=int), **SIZE_PEERS},
        [
            Bound(OURS, FLOOR, at_most=1.15),
            Bound("os.scandir + stat", OURS, at_least=3),
            *faster(*SIZE_RIVALS[1:]),
        ],
    ),
    Comparison(
        "size and mtime, columns, flat",
        tree("flat"),
        {FLOOR: statx_floor, OURS: timed(scan_columns, count=int), **SIZE_PEERS},
        faster(*SIZE_RIVALS),
    ),
    Comparison(
        "a million entries with size",
        tree("million"),
        {FLOOR: statx_floor, OURS: timed(scan_entries, count=int), "os.scandir + stat": timed(peers.scandir_stat)},
        [Bound(OURS, FLOOR, at_most=1.6)],
    ),
    Comparison(
        "paths, FUSE at 1 ms",
        slow_place,
        {FLOOR: floor("walk", "-t", 64), OURS: timed(scan_paths), **peers.chosen("os.walk", *RIVALS)},
        [
            Bound(OURS, FLOOR, at_most=2.5),
            Bound("fd", OURS, at_least=7),
            Bound("bfs", OURS, at_least=4),
            *faster("os.walk", "scandir-rs", "powerwalk"),
        ],
        unavailable=fuse.why_not,
        rounds=3,
    ),
    Comparison(
        "paths, cold ext4",
        cold_place,
        {FLOOR: floor("walk", "-t", 32), OURS: timed(scan_paths), **peers.chosen("os.walk", *RIVALS, "find")},
        faster("os.walk", *RIVALS, "find"),
        before=trees.drop_caches,
        unavailable=trees.why_not_cold,
        rounds=3,
    ),
    Comparison(
        "size and mtime, cold ext4",
        cold_place,
        {
            FLOOR: floor("walk", "-t", 64, "-s"),
            OURS: timed(scan_columns, count=int),
            **SIZE_PEERS,
        },
        faster(*SIZE_RIVALS),
        before=trees.drop_caches,
        unavailable=trees.why_not_cold,
        rounds=2,
    ),
]


# -- a selective predicate: one entry in a hundred -----------------------------------------------------


@contextlib.contextmanager
def selective_place() -> Iterator[tuple[Path, None]]:
    root, _ = trees.ensure("million")
    yield root, None


def names_floor(root: Path) -> Sample:
    """The floor reads all names; what it finds is not what a predicate selects."""
    return Sample(floor("walk", "-t", CORES)(root).seconds, None)


COMPARISONS.append(
    Comparison(
        "selective where (1 % hit), million",
        selective_place,
        {
            FLOOR: names_floor,
            OURS: timed(scan_selected),
            "os.walk + re": timed(selected_by_walk),
            "fd --glob": peers.command("fdfind", "-uu", "--print0", "--glob", "*17.[ch]", "{}"),
            "bfs -name": peers.command("bfs", "{}", "-name", "*17.[ch]", "-print0"),
            "find -name": peers.command("find", "{}", "-name", "*17.[ch]", "-print0"),
        },
        [Bound(OURS, FLOOR, at_most=1.10), *faster("os.walk + re", "fd --glob", "bfs -name", "find -name")],
    )
)


# -- a small directory, many times ---------------------------------------------------------------------

SMALL_RUNS = 2000


@contextlib.contextmanager
def small_place() -> Iterator[tuple[str, int]]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="fastos-small-") as root:
        for number in range(20):
            (Path(root) / f"file{number:02d}.txt").touch()
        yield root, 20 * SMALL_RUNS


def repeated_scan(root: str) -> int:
    import fastos

    return sum(len(list(fastos.scan(root, max_depth=1))) for _ in range(SMALL_RUNS))


def repeated_scandir(root: str) -> int:
    return sum(len(list(os.scandir(root))) for _ in range(SMALL_RUNS))


COMPARISONS.append(
    Comparison(
        "a directory of 20 entries",
        small_place,
        {OURS: timed(repeated_scan, count=int), "os.scandir": timed(repeated_scandir, count=int)},
        [Bound(OURS, "os.scandir", at_most=2.0)],
        items=SMALL_RUNS,
    )
)


# -- single figures ------------------------------------------------------------------------------------


def first_entry() -> float:
    """Milliseconds from the call of scan to its first entry, on the tree of a million; the median of eleven."""
    import statistics

    import fastos

    root, _ = trees.ensure("million")
    samples = []
    for _ in range(11):
        begin = time.perf_counter()
        with fastos.scan(root) as scan:
            next(iter(scan))
            samples.append(time.perf_counter() - begin)
    return statistics.median(samples) * 1e3


def in_python(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


STREAM = """
import sys
import fastos
def status(key):
    return int(open("/proc/self/status").read().split(key + ":")[1].split()[0])
root, entries, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
list(fastos.scan("/usr/lib", max_depth=1))
open("/proc/self/clear_refs", "w").write("5")  # forgets the peak of what came before
before = status("VmRSS")
scan = fastos.scan(root, fields=("size", "mtime_ns"))
found = sum(1 for _ in (scan.paths() if kind == "paths" else scan))
assert found == entries, (found, entries)
print((status("VmHWM") - before) / 1024)
"""


def streaming_memory(kind: str, times: int = 1) -> float:
    """MiB that a process grows by, at its peak, while it takes entries one by one and keeps none."""
    with trees.repeated("million", times) as (root, entries):
        return float(in_python(STREAM, str(root), str(entries), kind))


def import_time() -> float:
    """Milliseconds that `import fastos` takes in a bare interpreter; the median of eleven."""
    import statistics

    code = "import time; begin = time.perf_counter(); import fastos; print((time.perf_counter() - begin) * 1e3)"
    return statistics.median(float(in_python(code)) for _ in range(11))


FIGURES = [
    Figure("first entry of a large tree", "ms", 5, first_entry),
    Figure("memory added by streaming 10^6 entries", "MiB", 32, lambda: streaming_memory("entries")),
    Figure("memory added by streaming 10^6 paths", "MiB", 32, lambda: streaming_memory("paths")),
    Figure(
        "memory added by streaming 4×10^6 entries",
        "MiB",
        32,
        lambda: streaming_memory("entries", 4),
        unavailable=trees.why_not_mount,
    ),
    Figure("import fastos", "ms", 30, import_time),
]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_scan(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
