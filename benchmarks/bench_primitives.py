"""The native primitives against the interpreter's own os, one call at a time; it decides what the drop-in os takes.

    python -m benchmarks.bench_primitives            # prints the table
    python -m benchmarks.bench_primitives --write    # and puts it into docs/primitives.md

The two run in turns within one process; a ratio is the median over the rounds of the ratio within one round.
"""

import argparse
import contextlib
import importlib
import os
import re
import statistics
import sys
import tempfile
import timeit
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.floors import answer, floor
from benchmarks.measure import FLOOR, OURS, Bound, Comparison, Implementation, Sample, cases, check_with_pytest
from fastos import _backend

PAGE = Path(__file__).resolve().parents[1] / "docs" / "primitives.md"
TOPICS = (
    *("owner", "session", "environment", "descriptor", "permission", "directory"),
    *("link", "signal", "child", "execute", "launch"),
)
ROUNDS = 9
PRE_BOUND = ("getuid", "getpid", "kill")
PRE_BOUND_LIMIT = 1.5


@dataclass(frozen=True)
class Case:
    """A statement to time, what stands in the table for it, and the functions that its result decides about."""

    functions: tuple[str, ...]
    statement: str
    number: int
    floor: str = ""
    what: str = ""


def single(name: str, statement: str, number: int = 20000, floor: str = "") -> Case:
    return Case((name,), statement, number, floor)


CASES = [
    single("getuid", "getuid()", floor="getuid"),
    single("geteuid", "geteuid()"),
    single("getgid", "getgid()"),
    single("getegid", "getegid()"),
    single("getpid", "getpid()", floor="getpid"),
    single("getppid", "getppid()"),
    single("getpgrp", "getpgrp()"),
    single("getpgid", "getpgid(0)"),
    single("getsid", "getsid(0)"),
    single("getresuid", "getresuid()"),
    single("getresgid", "getresgid()"),
    single("getgroups", "getgroups()"),
    single("kill", "kill(pid, 0)", floor="kill"),
    single("killpg", "killpg(group, 0)"),
    single("ctermid", "ctermid()"),
    single("putenv", "putenv('FASTOS_BENCH', 'value')"),
    Case(("open", "close"), "close(open(file, 0))", 5000, "open"),
    single("read", "read(zero, 16)"),
    single("write", "write(null, b'x')", floor="write"),
    single("lseek", "lseek(zero, 0, 0)"),
    Case(("dup", "close"), "close(dup(null))", 5000),
    single("dup2", "dup2(null, spare)"),
    Case(("pipe", "close"), "a, b = pipe(); close(a); close(b)", 3000, "pipe"),
    single("get_inheritable", "get_inheritable(null)"),
    single("closerange", "closerange(900, 1000)", 3000),
    single("access", "access(file, 4)", 5000, "access"),
    single("chmod", "chmod(file, 0o600)", 3000, "chmod"),
    single("chown", "chown(file, -1, -1)", 3000),
    single("umask", "umask(0o22)", floor="umask"),
    single("chdir", "chdir(root)", 5000),
    single("getcwd", "getcwd()", 10000, "getcwd"),
    Case(("mkdir", "rmdir"), "mkdir(new); rmdir(new)", 1500, "mkdir"),
    Case(("makedirs",), "makedirs(new); rmdir(new)", 1500, what="makedirs (parent is there)"),
    Case(("makedirs",), "makedirs(deep); removedirs(deep)", 500, what="makedirs (three new), removedirs"),
    single("rename", "rename(file, file)", 5000),
    Case(("listdir",), "listdir(root)", 1500, what="listdir (7 names)"),
    Case(("listdir",), "listdir(large)", 15, what="listdir (5,000 names)"),
    Case(("symlink", "unlink"), "symlink(file, new); unlink(new)", 1500, "symlink"),
    Case(("link", "unlink"), "link(file, new); unlink(new)", 1500),
    single("readlink", "readlink(pointer)", 5000),
    Case(("waitpid",), "pid = fork() or _exit(0); waitpid(pid, 0)", 15, "fork", "fork, waitpid"),
    Case(("wait4",), "pid = fork() or _exit(0); wait4(pid, 0)", 15, what="fork, wait4"),
    Case(("walk",), "for _ in walk(shallow): pass", 500, what="walk (3 directories)"),
    Case(("walk",), "for _ in walk(wide): pass", 10, what="walk (300 directories)"),
    Case(("fwalk",), "for _ in fwalk(shallow): pass", 300, what="fwalk (3 directories)"),
    Case(("fwalk",), "for _ in fwalk(wide): pass", 6, what="fwalk (300 directories)"),
    single("system", "system(':')", 10),
    single("spawnv", "spawnv(P_WAIT, '/bin/true', ['true'])", 10),
    single("spawnlp", "spawnlp(P_WAIT, 'true', 'true')", 10),
    single("popen", "p = popen(':'); p.read(); p.close()", 8),
]


def implementations() -> dict[str, dict[str, Any]]:
    native: dict[str, Any] = {}
    fastos_walk = importlib.import_module("fastos._walk")
    for topic in TOPICS:
        native.update(vars(importlib.import_module(f"fastos._backend.native_{topic}")))
    native["walk"], native["fwalk"] = fastos_walk.walk, fastos_walk.fwalk
    native["popen"] = importlib.import_module("fastos._popen").popen
    return {"fastos": native, "os": dict(vars(os))}


@contextlib.contextmanager
def place() -> Iterator[dict[str, Any]]:
    """The files and descriptors that the statements name."""
    # In memory where there is such a place: a disk would drown what is measured.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fastos-primitives-", dir=memory) as root, contextlib.ExitStack() as stack:
        former = os.getcwd()
        large = os.path.join(root, "large")
        os.mkdir(large)
        for number in range(5000):
            os.close(os.open(os.path.join(large, f"a name of usual length {number}"), os.O_CREAT))
        shallow, wide = os.path.join(root, "shallow"), os.path.join(root, "wide")
        for number in range(2):
            os.makedirs(os.path.join(shallow, f"directory {number}"))
        for number in range(300):
            os.makedirs(os.path.join(wide, f"directory {number}"))
            for inside in range(10):
                os.close(os.open(os.path.join(wide, f"directory {number}", f"file {inside}"), os.O_CREAT))
        file, pointer = os.path.join(root, "file"), os.path.join(root, "pointer")
        os.close(os.open(file, os.O_CREAT, 0o600))
        os.symlink("a/target/of/usual/length", pointer)
        opened = {
            "null": os.open("/dev/null", os.O_WRONLY),
            "zero": os.open("/dev/zero", os.O_RDONLY),
            "spare": os.open("/dev/null", os.O_WRONLY),
        }
        for fd in opened.values():
            stack.callback(os.close, fd)
        stack.callback(os.chdir, former)
        names = {"new": os.path.join(root, "new"), "deep": os.path.join(root, "x/y/z")}
        # removedirs takes the parents that are empty: this one is not.
        yield {
            **opened,
            **names,
            **{"root": root, "large": large, "shallow": shallow, "wide": wide, "file": file, "pointer": pointer},
            **{"pid": os.getpid(), "group": os.getpgrp(), "_exit": os._exit, "P_WAIT": 0},
        }


@dataclass(frozen=True)
class Row:
    case: Case
    floor_ns: float | None
    os_ns: float
    native_ns: float
    ratio: float

    @property
    def name(self) -> str:
        return self.case.what or ", ".join(self.case.functions)


def floor_ns(case: Case, file: str) -> float | None:
    if not case.floor:
        return None
    found = answer("primitives", case.floor, case.number, file)
    ns: float = found["ns"] / found["entries"]
    return ns


def measure(case: Case, namespaces: dict[str, dict[str, Any]], things: dict[str, Any]) -> Row:
    timers = {name: timeit.Timer(case.statement, globals={**space, **things}) for name, space in namespaces.items()}
    number = case.number
    samples: dict[str, list[float]] = {name: [] for name in timers}
    for turn in range(ROUNDS):
        for name in sorted(timers, reverse=bool(turn % 2)):
            samples[name].append(timers[name].timeit(number) / number * 1e9)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(samples["fastos"], samples["os"], strict=True))
    medians = {name: statistics.median(values) for name, values in samples.items()}
    return Row(case, floor_ns(case, things["file"]), medians["os"], medians["fastos"], ratio)


def duration(ns: float | None) -> str:
    if ns is None:
        return ""
    return f"{ns:.0f} ns" if ns < 10000 else f"{ns / 1000:.0f} µs"


def table(rows: list[Row]) -> str:
    from fastos import os as drop_in

    lines = [
        "| function | bare C | `os` | native | native ÷ `os` | the drop-in has |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = row.case.functions[0]
        has = "fastos's" if getattr(drop_in, name) is not getattr(os, name) and name in drop_in._TAKEN else "`os`'s"
        numbers = " | ".join((duration(row.floor_ns), duration(row.os_ns), duration(row.native_ns)))
        lines.append(f"| {row.name} | {numbers} | {row.ratio:.2f} | {has} |")
    return "\n".join(lines) + "\n"


def verdicts(rows: list[Row]) -> list[str]:
    """What the measurement says against the code: a slower way taken, a pre-bound primitive over its limit."""
    from fastos import os as drop_in

    problems = []
    for row in rows:
        name = row.case.functions[0]
        if name in drop_in._TAKEN and row.ratio > 1.05:
            problems.append(f"the drop-in takes {row.name}, which is slower: {row.ratio:.2f}")
        if name in PRE_BOUND and row.ratio > PRE_BOUND_LIMIT:
            problems.append(f"{row.name} is {row.ratio:.2f} of os's; the limit is {PRE_BOUND_LIMIT}")
    return problems


# -- what `make bench` shows: the promises ---------------------------------------------------------------------------

PRE_BOUND_COUNT = 100_000


@contextlib.contextmanager
def expecting(number: int) -> Iterator[tuple[dict[str, Any], int]]:
    with place() as things:
        yield things, number


def timed_statement(case: Case, implementation: str, number: int) -> Implementation:
    def run(things: dict[str, Any]) -> Sample:
        space = implementations()[implementation]
        seconds = timeit.Timer(case.statement, globals={**space, **things}).timeit(number)
        return Sample(seconds, number)

    return run


def promise(case: Case) -> Comparison:
    """A pre-bound primitive, or what the drop-in has of fastos's, against the interpreter's own."""
    pre_bound = case.functions[0] in PRE_BOUND
    number = PRE_BOUND_COUNT if pre_bound else case.number
    ways = {name: timed_statement(case, name, number) for name in (OURS, "os")}
    if case.floor:
        ways[FLOOR] = floor("primitives", case.floor, number, arguments=lambda things: [things["file"]])
    limit = PRE_BOUND_LIMIT if pre_bound else 1.05
    return Comparison(
        f"os: {case.what or case.functions[0]}",
        lambda: expecting(number),
        ways,
        [Bound(OURS, "os", at_most=limit)],
        items=number,
        unavailable=lambda: None if _backend.COMPILED else "the standard-library backend has no native primitives",
    )


PROMISED = (*PRE_BOUND, "spawnv", "spawnlp", "popen", "walk", "fwalk")
COMPARISONS = [promise(case) for case in CASES if case.functions[0] in PROMISED]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_primitives(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)


def main() -> int:
    parser = argparse.ArgumentParser(description="The native primitives against the interpreter's own os.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/primitives.md")
    parser.add_argument("--only", action="append", help="a function")
    options = parser.parse_args()
    namespaces = implementations()
    cases = [case for case in CASES if not options.only or set(case.functions) & set(options.only)]
    with place() as things:
        rows = [measure(case, namespaces, things) for case in cases]
    print(table(rows))
    if options.write:
        text = re.sub(
            r"\| function \|.*?\n(?=\n|\Z)", lambda _: table(rows), PAGE.read_text(), count=1, flags=re.DOTALL
        )
        PAGE.write_text(text)
    for problem in verdicts(rows):
        print(problem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
