"""run and run_many against the bare loops, the standard library and the shell's own tools."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import floors
from benchmarks.measure import (
    FLOOR,
    OURS,
    Bound,
    Comparison,
    Figure,
    Implementation,
    Missing,
    Sample,
    cases,
    check_with_pytest,
    no_place,
    one_cpu,
    timed,
)

ONE, MANY, SLOW, JOBS, ALIVE = 300, 2000, 500, 2, 5000  # SLOW: how many of a program that takes a while itself

# What is collected, in the words of all of them.
OUTPUT = {"stdout": subprocess.PIPE}
BOTH = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def nop() -> list[str]:
    return [floors.program("nop")]


def by_floor(name: str, count: int, *between: object, program: str | None = None) -> Implementation:
    """These floors print nanoseconds a child."""

    def run(_: Any) -> Sample:
        found = floors.answer(name, count, *between, program or nop()[0])
        return Sample(found["ns"] * count / 1e9, count)

    return run


def one_after_another(run: Callable[[list[str]], int]) -> Implementation:
    def work(_: Any) -> int:
        command = nop()  # found once: to look for it takes longer than to call run
        return sum(run(command) == 0 for _ in range(ONE))

    return timed(work, int)


def run_once(command: list[str]) -> int:
    import fastos

    return fastos.run(command, stdout=fastos.PIPE).returncode


def subprocess_once(command: list[str]) -> int:
    return subprocess.run(command, stdout=subprocess.PIPE, check=False).returncode


def run_many(command: Callable[[], list[str]], count: int, streams: dict[str, int]) -> Implementation:
    def work(_: Any) -> int:
        import fastos

        args = command()
        return sum(done.success for done in fastos.run_many((args for _ in range(count)), jobs=JOBS, **streams))

    return timed(work, int)


def threads(command: Callable[[], list[str]], count: int, streams: dict[str, int]) -> Implementation:
    def work(_: Any) -> int:
        from concurrent.futures import ThreadPoolExecutor

        args = command()
        with ThreadPoolExecutor(JOBS) as pool:
            done = pool.map(lambda _: subprocess.run(args, check=False, **streams), range(count))
            return sum(completed.returncode == 0 for completed in done)

    return timed(work, int)


def on_asyncio(command: Callable[[], list[str]], count: int, streams: dict[str, int]) -> Implementation:
    async def one(args: list[str], free: Any) -> int:
        import asyncio

        async with free:
            process = await asyncio.create_subprocess_exec(*args, **streams)
            await process.communicate()
            return process.returncode == 0

    async def all_of_them(args: list[str]) -> int:
        import asyncio

        free = asyncio.Semaphore(JOBS)
        return sum(await asyncio.gather(*(one(args, free) for _ in range(count))))

    def work(_: Any) -> int:
        import asyncio

        return asyncio.run(all_of_them(command()))

    return timed(work, int)


def tool(*words: str) -> Implementation:
    """A program that reads one argument a line from standard input; its output is thrown away."""

    def run(_: Any) -> Sample:
        if shutil.which(words[0]) is None:
            raise Missing(f"apt-get install {words[0]}")
        lines = "".join(f"{number}\n" for number in range(SLOW))
        begin = time.perf_counter()
        subprocess.run(words, input=lines, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return Sample(time.perf_counter() - begin, SLOW)

    return run


def echo() -> list[str]:
    return ["/bin/echo", "1"]


def true() -> list[str]:
    return ["/bin/true"]


COMPARISONS = [
    Comparison(
        "run, stdout captured",
        one_cpu,
        {
            FLOOR: by_floor("run", ONE),
            OURS: one_after_another(run_once),
            "subprocess.run": one_after_another(subprocess_once),
        },
        [Bound(OURS, FLOOR, at_most=1.35)],
        items=ONE,
    ),
    Comparison(
        "run_many, 2 at a time, stdout captured",
        no_place,
        {
            FLOOR: by_floor("run_many", MANY, JOBS),
            OURS: run_many(nop, MANY, OUTPUT),
            "threads + subprocess.run": threads(nop, MANY, OUTPUT),
            "asyncio": on_asyncio(nop, MANY, OUTPUT),
        },
        [
            Bound(OURS, FLOOR, at_most=1.25),
            Bound("threads + subprocess.run", OURS, at_least=3),
            Bound("asyncio", OURS, at_least=7),
        ],
        items=MANY,
    ),
    Comparison(
        "run_many, 2 at a time, stdout and stderr captured",
        no_place,
        {
            OURS: run_many(nop, MANY, BOTH),
            "threads + subprocess.run": threads(nop, MANY, BOTH),
            "asyncio": on_asyncio(nop, MANY, BOTH),
        },
        items=MANY,
    ),
    Comparison(
        "run_many, 2 at a time, /bin/true",
        no_place,
        {
            FLOOR: by_floor("run_many", SLOW, JOBS, program="/bin/true"),
            OURS: run_many(true, SLOW, OUTPUT),
            "threads + subprocess.run": threads(true, SLOW, OUTPUT),
            "asyncio": on_asyncio(true, SLOW, OUTPUT),
        },
        items=SLOW,
        rounds=3,
    ),
    Comparison(
        "run_many, 2 at a time, /bin/echo",
        no_place,
        {
            OURS: run_many(echo, SLOW, OUTPUT),
            "threads + subprocess.run": threads(echo, SLOW, OUTPUT),
            "xargs": tool("xargs", "-P2", "-n1", "/bin/echo"),
            "parallel": tool("parallel", "-j2", "/bin/echo"),
        },
        [Bound("xargs", OURS, at_least=1), Bound("parallel", OURS, at_least=1)],
        items=SLOW,
        rounds=3,
    ),
]


def private_memory() -> int:
    """Bytes of memory that are this process's alone."""
    with open("/proc/self/smaps_rollup") as rollup:
        return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def memory_of_each() -> float:
    """Bytes of user memory for each of the children alive under one run_many."""
    import resource

    import fastos

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        fastos.run(["true"])
        before = private_memory()
        with fastos.run_many((["sleep", "600"] for _ in range(ALIVE)), jobs=ALIVE) as runs:
            runs.feed()
            while runs.running < ALIVE:
                time.sleep(0.01)
            threads_now = len(os.listdir("/proc/self/task"))
            if threads_now > 70:
                raise RuntimeError(f"{threads_now} threads")
            return (private_memory() - before) / ALIVE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory_of_each_afresh() -> float:
    """The same in a process of its own: this one has memory to spare from what it did before."""
    code = "from benchmarks.bench_run import memory_of_each; print(memory_of_each())"
    return float(subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout)


FIGURES = [Figure(f"run_many, {ALIVE} alive: user memory of each", "bytes", 4096, memory_of_each_afresh)]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_run(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
