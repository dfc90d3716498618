"""What `from fastos import subprocess` and `fastos.install()` put in place of the standard functions, against those.

`walk` and `fwalk` are in bench_walk.py, single calls of `os` in bench_primitives.py.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks import floors
from benchmarks.measure import (
    OURS,
    Bound,
    Comparison,
    Implementation,
    Sample,
    cases,
    check_with_pytest,
    no_place,
    one_cpu,
    timed,
)

ONE, MANY, JOBS = 300, 400, 2


def standard() -> Any:
    return subprocess


def drop_in() -> Any:
    from fastos import subprocess as module

    return module


def one_by_one(module: Callable[[], Any], **options: Any) -> Implementation:
    """run() of the no-op, ONE times; how many ended with 0."""

    def work(_: Any) -> int:
        run, command = module().run, [floors.program("nop")]
        return sum(run(command, **options).returncode == 0 for _ in range(ONE))

    return timed(work, int)


def by_popen(module: Callable[[], Any]) -> Implementation:
    def work(_: Any) -> int:
        popen, command = module().Popen, [floors.program("nop")]
        return sum(popen(command).wait() == 0 for _ in range(ONE))

    return timed(work, int)


def thread_pool(module: Callable[[], Any]) -> Implementation:
    """run() in two threads. The standard run uses the Popen of its module: so the drop-in's does its own."""

    def work(_: Any) -> int:
        run, command, pipe = module().run, [floors.program("nop")], subprocess.PIPE
        with ThreadPoolExecutor(JOBS) as pool:
            done = pool.map(lambda _: run(command, stdout=pipe).returncode == 0, range(MANY))
            return sum(done)

    return timed(work, int)


async def all_of_them(command: list[str]) -> int:
    free = asyncio.Semaphore(JOBS)

    async def one() -> bool:
        async with free:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            await process.communicate()
            return process.returncode == 0

    return sum(await asyncio.gather(*(one() for _ in range(MANY))))


def on_asyncio(module: Callable[[], Any]) -> Implementation:
    """asyncio's own subprocesses, with the Popen of one of the modules."""

    def work(_: Any) -> int:
        original = subprocess.Popen
        subprocess.Popen = module().Popen  # type: ignore[misc]  # as fastos.install() does
        try:
            return asyncio.run(all_of_them([floors.program("nop")]))
        finally:
            subprocess.Popen = original  # type: ignore[misc]

    return timed(work, int)


def both(way: Callable[..., Implementation], **options: Any) -> dict[str, Implementation]:
    return {OURS: way(drop_in, **options), "standard": way(standard, **options)}


# -- rmtree ------------------------------------------------------------------------------------------------------------

DIRECTORIES, FILES = 300, 20


@contextlib.contextmanager
def memory() -> Iterator[tuple[str, int]]:
    """A directory in memory where there is such a place, and how many trees are to be gone."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fastos-rmtree-", dir=where) as root:
        yield root, 0


def make_tree(root: str) -> str:
    top = os.path.join(root, "tree")
    for number in range(DIRECTORIES):
        directory = os.path.join(top, f"part{number % 17}", f"directory{number}")
        os.makedirs(directory)
        for name in range(FILES):
            os.close(os.open(os.path.join(directory, f"file{name}"), os.O_CREAT | os.O_WRONLY))
    return top


def removing(remove: Callable[[], Callable[[str], Any]]) -> Implementation:
    """Seconds to remove a tree, which is made anew before; what is left of it."""

    def run(root: str) -> Sample:
        top = make_tree(root)
        function = remove()
        seconds = timed(lambda _: function(top), count=lambda _: 0)(None).seconds
        return Sample(seconds, len(os.listdir(root)))

    return run


def our_rmtree() -> Callable[[str], Any]:
    import fastos

    return fastos.rmtree


COMPARISONS = [
    Comparison(
        "dropins: subprocess.run",
        one_cpu,
        both(one_by_one),
        [Bound("standard", OURS, at_least=1.15)],
        items=ONE,
    ),
    Comparison(
        "dropins: subprocess.run, capture_output",
        one_cpu,
        both(one_by_one, capture_output=True),
        [Bound("standard", OURS, at_least=1.5)],
        items=ONE,
    ),
    Comparison("dropins: Popen, wait", one_cpu, both(by_popen), [Bound("standard", OURS, at_least=1.0)], items=ONE),
    Comparison(
        "dropins: a pool of two threads",
        no_place,
        both(thread_pool),
        [Bound(OURS, "standard", at_most=1.0)],
        items=MANY,
    ),
    Comparison(
        "dropins: asyncio's subprocesses",
        no_place,
        both(on_asyncio),
        [Bound(OURS, "standard", at_most=1.0)],
        items=MANY,
    ),
    Comparison(
        "dropins: rmtree in memory",
        memory,
        {OURS: removing(our_rmtree), "shutil.rmtree": removing(lambda: shutil.rmtree)},
        [Bound("shutil.rmtree", OURS, at_least=1.0)],
        items=DIRECTORIES * FILES,
    ),
]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_dropins(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
