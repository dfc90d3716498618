"""Idle services under each supervisor: memory, wake-ups in ten seconds, and the time from an exit to the next start."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Missing, Table, markdown
from benchmarks.peers import library, tool

SERVICES = 200
QUIET_SECONDS = 10
RESTARTS = 11

OURS = """
import sys
import fastos
services = [fastos.Service(f"s{number}", sys.argv[2:], backoff=0) for number in range(int(sys.argv[1]))]
with fastos.Supervisor(services) as supervisor:
    supervisor.run()
"""


@dataclass(frozen=True)
class Started:
    """A supervisor's process, and the pipe on which each of its services writes a line with its pid when it starts."""

    process: subprocess.Popen[bytes]
    pipe: int

    def next_start(self, seconds: float) -> int:
        """The pid of the service that starts next."""
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self.pipe], [], [], seconds)[0]:
                raise TimeoutError(f"no service started within {seconds} s")
            line += os.read(self.pipe, 1)
        return int(line)


def run_directories(base: Path, command: list[str]) -> None:
    """A directory with a run script for each service, as runit and s6 have it."""
    for number in range(SERVICES):
        script = base / "services" / f"s{number}" / "run"
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        script.chmod(0o755)


def fastos_command(_: Path, service: list[str]) -> list[str]:
    return [sys.executable, "-c", OURS, str(SERVICES), *service]


def supervisord_command(base: Path, service: list[str]) -> list[str]:
    library("supervisor")
    command = shlex.join(service).replace("%", "%%")
    programs = [f"[program:s{n}]\ncommand={command}\nautorestart=true\nstartsecs=0\n" for n in range(SERVICES)]
    head = f"[supervisord]\nnodaemon=true\nlogfile={base}/log\npidfile={base}/pid\nchildlogdir={base}\nminfds=4096\n"
    (base / "supervisord.conf").write_text(head + "".join(programs))
    return [sys.executable, "-m", "supervisor.supervisord", "-c", f"{base}/supervisord.conf"]


def circus_command(base: Path, service: list[str]) -> list[str]:
    library("circus")
    sockets = f"endpoint = ipc://{base}/c\npubsub_endpoint = ipc://{base}/p\n"
    watchers = [
        f"[watcher:s{n}]\ncmd = {service[0]}\nargs = {shlex.join(service[1:])}\nwarmup_delay = 0\n"
        for n in range(SERVICES)
    ]
    (base / "circus.ini").write_text(f"[circus]\n{sockets}" + "".join(watchers))
    return [sys.executable, "-m", "circus.circusd", f"{base}/circus.ini"]


def runit_command(base: Path, service: list[str]) -> list[str]:
    run_directories(base, service)
    return [tool("runsvdir"), str(base / "services")]


def s6_command(base: Path, service: list[str]) -> list[str]:
    run_directories(base, service)
    return [tool("s6-svscan"), str(base / "services")]


SUPERVISORS: dict[str, Callable[[Path, list[str]], list[str]]] = {
    "fastos": fastos_command,
    "supervisord": supervisord_command,
    "circus": circus_command,
    "runit": runit_command,
    "s6": s6_command,
}


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def descendants(top: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                children.setdefault(int(status_of(int(name))["PPid"]), []).append(int(name))
    found, waiting = [], [top]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def supervising(top: int) -> list[int]:
    """The processes of the supervisor itself, its services (all called sleep) left out."""
    return [pid for pid in descendants(top) if status_of(pid)["Name"] != "sleep"]


def memory(pids: list[int]) -> int:
    """Bytes: what is private to the processes and their share of what they share (Pss)."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(text.split("\nPss:")[1].split()[0]) * 1024
    return total


def wakeups(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{thread}/status").read_text()
            total += int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a supervisor and everything below it, politely first."""
    below = descendants(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def supervised(name: str) -> Iterator[tuple[Started, list[int]]]:
    """Starts the services under one supervisor; yields when all of them run, with their pids."""
    with tempfile.TemporaryDirectory(prefix="fastos-supervise-", ignore_cleanup_errors=True) as place:
        fifo = Path(place) / "started"
        os.mkfifo(fifo)
        pipe = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        service = ["/bin/sh", "-c", f"echo $$ > {fifo}; exec {shutil.which('sleep')} 100000"]
        command = SUPERVISORS[name](Path(place), service)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=place, **quiet)
        try:
            started = Started(process, pipe)
            yield started, [started.next_start(60) for _ in range(SERVICES)]
        finally:
            end(process)
            os.close(pipe)


def restart_latency(started: Started, pid: int) -> float:
    begin = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    started.next_start(20)
    return time.perf_counter() - begin


def measure(name: str) -> tuple[str, ...]:
    try:
        with supervised(name) as (started, services):
            time.sleep(3)  # what belongs to the start is over
            own = supervising(started.process.pid)
            before = wakeups(own)
            time.sleep(QUIET_SECONDS)
            woken, size = wakeups(own) - before, memory(own)
            latencies = [restart_latency(started, pid) for pid in services[:RESTARTS]]
    except Missing as reason:
        return name, "missing", "", "", str(reason)
    except (TimeoutError, OSError) as problem:
        return name, "failed", "", "", str(problem)
    return (
        name,
        f"{size / 2**20:.1f} MiB",
        str(len(own)),
        str(woken),
        f"{statistics.median(latencies) * 1e3:.2f} ms, at most {max(latencies) * 1e3:.2f}",
    )


def report() -> str:
    header = ("supervisor", "memory", "processes", f"wake-ups in {QUIET_SECONDS} s", "exit to start")
    return markdown(header, [measure(name) for name in SUPERVISORS])


TABLES = [Table(f"supervision of {SERVICES} idle services", report)]
