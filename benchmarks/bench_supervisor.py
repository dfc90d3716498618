"""The supervisor by itself: memory and wake-ups of many idle services, starts, restarts, stops, and lines of logs.

Each figure is measured in a process of its own, in which nothing else was loaded.
"""

import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.floors import answer
from benchmarks.measure import FLOOR, OURS, Bound, Comparison, Figure, Sample, cases, check_with_pytest, no_place

SERVICES = 1000
SLEEP = ["/bin/sleep", "100000"]
LINES = 4_000_000
IDLE_SERVICES = int(os.environ.get("FASTOS_BENCH_SERVICES", "10000"))

START = """
import json, sys, time
from fastos.supervise import Service, State, Supervisor
count = int(sys.argv[1])
with Supervisor([Service(f"s{n}", sys.argv[2:]) for n in range(count)]) as supervisor:
    begin = time.perf_counter()
    supervisor.start_all()
    print(json.dumps({"ns": (time.perf_counter() - begin) * 1e9, "count": supervisor.count(State.RUNNING)}))
    supervisor.shutdown(now=True)
"""

IDLE = """
import gc, json, resource, sys, time
from fastos.supervise import Service, Supervisor
def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
def switches():
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
count, seconds = int(sys.argv[1]), float(sys.argv[2])
with Supervisor([Service("first", "exit 0", restart="never")]) as supervisor:
    supervisor.run(until_idle=True)
empty = Supervisor([])
empty.step(0)
gc.collect()
before = private()
with Supervisor([Service(f"s{n}", sys.argv[3:]) for n in range(count)]) as supervisor:
    supervisor.start_all()
    supervisor.step(0)
    gc.collect()
    size = private() - before
    # The wait itself is one switch; its end, after the time, is not counted as a wake-up.
    woken = switches()
    supervisor.step(seconds)
    print(json.dumps({"kib": size / count, "woken": switches() - woken - 1}))
    supervisor.shutdown(now=True)
empty.close()
"""

RESTART = """
import json, os, signal, sys, time
from fastos.supervise import Service, State, Supervisor
count, samples = int(sys.argv[1]), int(sys.argv[2])
taken, killed = [], {}
def on_event(event):
    if event.state == "running" and event.name in killed:
        taken.append(time.perf_counter() - killed.pop(event.name))
services = [Service(f"s{n}", sys.argv[3:], backoff=0) for n in range(count)]
with Supervisor(services, on_event=on_event) as supervisor:
    supervisor.start_all()
    units = list(supervisor.units().values())
    for sample in range(samples):
        unit = units[sample * 7 % count]
        killed[unit.name] = time.perf_counter()
        os.kill(unit.pid, signal.SIGKILL)
        while killed:
            supervisor.step(None)
    supervisor.on_event = None
    pids = [unit.pid for unit in units]
    begin = time.perf_counter()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    while sum(unit.restarts for unit in units) < samples + count or supervisor.count(State.RUNNING) < count:
        supervisor.step(None)
    again = time.perf_counter() - begin
    assert len({unit.pid for unit in units} - set(pids)) == count
    begin = time.perf_counter()
    supervisor.shutdown()
stopped = time.perf_counter() - begin
taken.sort()
result = {"median": taken[len(taken) // 2] * 1e3, "p99": taken[len(taken) * 99 // 100] * 1e3}
print(json.dumps({**result, "again": again, "stopped": stopped}))
"""

LOGS = """
import glob, json, sys, tempfile, time
from fastos.supervise import Log, Service, Supervisor
lines = int(sys.argv[1])
block = "import os, sys\\nblock = (b'x' * 63 + b'\\\\n') * 1024\\n"
writer = f"{block}for _ in range({lines // 1024}): os.write(1, block)"
with tempfile.TemporaryDirectory() as directory:
    log = Log("file", path=f"{directory}/log", max_bytes=64 << 20, keep=0, compress=False)
    with Supervisor([Service("a", [sys.executable, "-S", "-c", writer], restart="never", log=log)]) as supervisor:
        begin = time.perf_counter()
        supervisor.run(until_idle=True)
        seconds = time.perf_counter() - begin
    found = sum(open(name, "rb").read().count(b"x\\n") for name in glob.glob(f"{directory}/log*"))
    assert found == lines // 1024 * 1024, found
    print(json.dumps({"rate": found / seconds}))
"""


def measured(code: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


@functools.cache
def idle() -> dict[str, Any]:
    return measured(IDLE, IDLE_SERVICES, 60, *SLEEP)


@functools.cache
def restarted() -> dict[str, Any]:
    return measured(RESTART, SERVICES, 500, *SLEEP)


def start_ours(_: None) -> Sample:
    found = measured(START, SERVICES, *SLEEP)
    return Sample(found["ns"] / 1e9, found["count"])


def start_floor(_: None) -> Sample:
    found = answer("start", SERVICES, *SLEEP)
    return Sample(found["ns"] / 1e9, found["count"])


COMPARISONS = [
    Comparison(
        f"start {SERVICES} services",
        no_place,
        {OURS: start_ours, FLOOR: start_floor},
        [Bound(OURS, FLOOR, at_most=1.5)],
        items=SERVICES,
    )
]

FIGURES = [
    Figure(f"private memory of each of {IDLE_SERVICES:,} idle services", "KiB", 4, lambda: idle()["kib"]),
    Figure(f"wake-ups of {IDLE_SERVICES:,} idle services in 60 s", "", 0, lambda: idle()["woken"]),
    Figure(f"exit to exec again among {SERVICES}, median", "ms", 1.5, lambda: restarted()["median"]),
    Figure(f"exit to exec again among {SERVICES}, p99", "ms", 4, lambda: restarted()["p99"]),
    Figure(f"{SERVICES} killed at once, all running again", "s", 2, lambda: restarted()["again"]),
    Figure(f"{SERVICES} that end on TERM stopped", "s", 2, lambda: restarted()["stopped"]),
    Figure("a line of 64 bytes logged with its time", "µs", 1, lambda: 1e6 / measured(LOGS, LINES)["rate"]),
]


@pytest.mark.parametrize(("comparison", "name"), cases(COMPARISONS))
def test_supervisor(benchmark: Any, comparison: Comparison, name: str) -> None:
    check_with_pytest(benchmark, comparison, name)
