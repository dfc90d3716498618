"""Spawning and waiting for a static program that does nothing, against the bare C loop and what else Python has.

Each run times COUNT spawns one by one and gives their median, in a process of its own where what is measured is a
property of the parent (its size, its descriptors).
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import fastos
from benchmarks import floors
from benchmarks.measure import (
    Bound,
    Comparison,
    Implementation,
    Sample,
    cases,
    check_with_pytest,
    faster_than,
    one_cpu,
)
from fastos import _spawn

COUNT = 300


def median_of(spawn_once: Callable[[str], Any]) -> Implementation:
    def run(_: Any) -> Sample:
        program, times = floors.program("nop"), []
        for _ in range(COUNT):
            begin = time.perf_counter()
            spawn_once(program)
            times.append(time.perf_counter() - begin)
        return Sample(statistics.median(times), None)

    return run


def floor(_: Any) -> Sample:
    return Sample(floors.answer("spawn", COUNT, floors.program("nop"))["ns"] / 1e9, None)


def prepared(_: Any) -> Sample:
    request = _spawn.prepare([floors.program("nop")])
    return median_of(lambda _: _spawn.Process(request, None).wait())(None)


def posix_spawn(program: str) -> None:
    os.waitpid(os.posix_spawn(program, [program], os.environ), 0)


PARENT = """
import fastos, os, resource, statistics, sys, time
kind, program, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = {}
if kind == "4 GiB":
    block = bytearray(4 << 30)
    for page in range(0, len(block), 4096): block[page] = 1
elif kind == "many descriptors":  # 100,000, or what the hard limit allows
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 100_100:
        try: hard = 100_100; resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except ValueError: _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = [os.dup(0) for _ in range(min(100_000, hard - 100))]
elif kind == "uid drop":
    options = {"user": "nobody"}
times = []
for _ in range(count):
    begin = time.perf_counter(); fastos.spawn([program], **options).wait(); times.append(time.perf_counter() - begin)
print(statistics.median(times))
"""


def in_parent(kind: str) -> Implementation:
    def run(_: Any) -> Sample:
        command = [sys.executable, "-c", PARENT, kind, floors.program("nop"), str(COUNT)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return Sample(float(printed), None)

    return run


def needs_root() -> str | None:
    return None if os.geteuid() == 0 else "needs root (ids, and limits on descriptors)"


COMPARISONS = [
    Comparison(
        "spawn and wait",
        one_cpu,
        {
            "fastos": median_of(lambda program: fastos.spawn([program]).wait()),
            "fastos, prepared": prepared,
            "floor": floor,
            "subprocess.Popen": median_of(lambda program: subprocess.Popen([program]).wait()),
            "os.posix_spawn": median_of(posix_spawn),
        },
        [Bound("fastos", "floor", at_most=1.15), *faster_than("subprocess.Popen")],
    ),
    Comparison(
        "spawn from a parent that is",
        one_cpu,
        {kind: in_parent(kind) for kind in ("plain", "4 GiB", "many descriptors", "uid drop")},
        [
            Bound("4 GiB", "plain", at_most=1.2),
            Bound("many descriptors", "plain", at_most=2.0),
            Bound("uid drop", "plain", at_most=1.2),
        ],
        unavailable=needs_root,
    ),
]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_spawn(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
