"""run and run_many where the surroundings are against them: closed streams, stolen statuses, signals, namespaces."""

import os
import pathlib
import signal
import sys
import threading
import time

import pytest

import fastos
from fastos import _backend
from spawned import CLOSED, REPORT_OPEN, output
from storms import storm

# A thread for each of the jobs, and more jobs than threads.
JOBS = pytest.mark.parametrize("jobs", [2, 50])


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.mark.parametrize("closed", CLOSED)
def test_streams_closed_in_the_parent(closed: tuple[int, ...], tmp_path: pathlib.Path) -> None:
    """In every combination, what is fed and collected is the child's own."""
    code = (
        "import fastos, os, sys\n"
        f"for fd in {closed!r}: os.close(fd)\n"
        "args = ['sh', '-c', 'cat; echo error >&2']\n"
        "results = [fastos.run(args, input=b'text', capture=True)]\n"
        "for jobs in (2, 50):\n"
        "    results += fastos.run_many([args] * 20, jobs=jobs, input=b'text')\n"
        "assert all((r.stdout, r.stderr, r.returncode) == (b'text', b'error\\n', 0) for r in results)\n"
        "assert fastos.pipeline([['echo', 'x'], ['cat']])[1].stdout == b'x\\n'\n"
        "open(sys.argv[1], 'w').write('done')\n"
    )
    done = tmp_path / "done"
    assert fastos.spawn([sys.executable, "-c", code, done]).wait().code == 0
    assert done.read_text() == "done"


@pytest.mark.native
@pytest.mark.parametrize("closed", CLOSED)
def test_what_is_closed_here_is_closed_there(closed: tuple[int, ...], tmp_path: pathlib.Path) -> None:
    """What the core opened for itself is nobody's standard stream."""
    code = (
        "import fastos, os, sys\n"
        f"for fd in {closed!r}: os.close(fd)\n"
        "args = [sys.executable, '-I', '-S', '-c', sys.argv[1]]\n"
        "fastos.run([*args, sys.argv[2] + '1'])\n"
        "for jobs in (2, 50):\n"
        "    list(fastos.run_many([[*args, sys.argv[2] + str(jobs)]], jobs=jobs, capture=False))\n"
    )
    report = str(tmp_path / "report")
    assert fastos.spawn([sys.executable, "-c", code, REPORT_OPEN, report], stderr=fastos.DEVNULL).wait().code == 0
    left = [fd for fd in range(3) if fd not in closed]
    assert pathlib.Path(report + "1").read_text() == repr(left)
    for jobs in (2, 50):
        assert pathlib.Path(report + str(jobs)).read_text() == repr(sorted({0, *left}))


@pytest.mark.skipif(
    not pathlib.Path("/usr/bin/unshare").exists() or os.name != "posix" or os.geteuid() != 0,
    reason="needs unshare as root",
)
def test_as_the_first_process_of_a_namespace() -> None:
    code = (
        "import fastos, os\n"
        "assert os.getpid() == 1\n"
        "print(fastos.run(['sh', '-c', 'sleep 0.01 & exit 3']).returncode)\n"
        "trees = [['sh', '-c', f'sleep 0.01 & exit {n}'] for n in range(8)]\n"
        "for jobs in (2, 50):\n"
        "    print([r.returncode for r in fastos.run_many(trees, jobs=jobs, ordered=True)])\n"
        "endless = ['sh', '-c', 'sleep 1000 & sleep 1000']\n"
        "try: fastos.run(endless, timeout=0.1)\n"
        "except fastos.TimeoutExpired as late: print(late.completed.returncode)\n"
        "print([r.timed_out for r in fastos.run_many([endless] * 2, timeout=0.1)])\n"
    )
    args = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    codes = str(list(range(8)))
    assert output(args) == f"3\n{codes}\n{codes}\n-9\n[True, True]\n"


@JOBS
def test_sigchld_ignored(jobs: int) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        results = list(fastos.run_many([["echo", "text"]] * 30 + [["/nonexistent"]], jobs=jobs, ordered=True))
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert [result.stdout for result in results[:30]] == [b"text\n"] * 30
    assert isinstance(results[30].error, FileNotFoundError)
    if _backend.COMPILED:  # subprocess says 0 for a status that it lost
        assert all(result.lost and not result.success and result.rusage is None for result in results[:30])


@JOBS
def test_a_thief(jobs: int) -> None:
    """Somebody waits for every child there is: what he took is lost, and nothing else is."""
    stolen: list[int] = []
    over = threading.Event()

    def steal() -> None:
        while not over.is_set():
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                continue
            if pid:
                stolen.append(pid)

    thief = threading.Thread(target=steal)
    thief.start()
    try:
        results = list(fastos.run_many([["echo", "text"]] * 200, jobs=jobs))
    finally:
        over.set()
        thief.join()
    assert [result.stdout for result in results] == [b"text\n"] * 200
    if _backend.COMPILED:
        assert sorted(result.pid for result in results if result.lost) == sorted(stolen)
        assert all(result.success for result in results if not result.lost)


@JOBS
def test_a_storm_of_signals(jobs: int) -> None:
    with storm(0.001) as signals:
        results = list(fastos.run_many([sh("cat; echo end")] * 50, jobs=jobs, input=b"x" * 100_000))
    assert [len(result.stdout) for result in results] == [100_004] * 50
    assert signals.count > 0


@pytest.mark.linux_native
@JOBS
def test_sigchld_wakes_nobody_unless_it_is_handled(jobs: int) -> None:
    """All other signals are the application's own; this one the kernel drops only where it is not blocked."""

    def masks() -> list[int]:
        return [
            next(int(line.split()[1], 16) for line in (task / "status").read_text().splitlines() if "SigBlk" in line)
            for task in pathlib.Path("/proc/self/task").iterdir()
            if task.name not in before
        ]

    def settle(wanted: bool) -> None:
        deadline = time.monotonic() + 30
        blocked = [1 << number - 1 for number in (signal.SIGCHLD, signal.SIGTERM)]
        while sum([bool(mask & bit) for bit in blocked] == [wanted, True] for mask in masks()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    before = {task.name for task in pathlib.Path("/proc/self/task").iterdir()}
    with fastos.run_many([["sleep", "60"]] * jobs, jobs=jobs) as results:
        results.feed()
        settle(False)
    handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        with fastos.run_many([["sleep", "60"]] * jobs, jobs=jobs) as results:
            results.feed()
            settle(True)
    finally:
        signal.signal(signal.SIGCHLD, handler)


@JOBS
def test_stopped_children_at_their_deadline(jobs: int) -> None:
    results = list(fastos.run_many([sh("echo early; kill -STOP $$")] * 2, jobs=jobs, timeout=1))
    assert [(result.timed_out, result.stdout) for result in results] == [(True, b"early\n")] * 2


@JOBS
def test_an_orphan_holds_the_pipe(jobs: int) -> None:
    """Neither a deadline nor the end of the run waits for it."""
    command = sh("setsid sleep 60 & echo $!")
    (late,) = fastos.run_many([command], jobs=jobs, timeout=1)
    assert late.timed_out
    os.kill(int(late.stdout), signal.SIGKILL)


@JOBS
def test_closed_while_an_orphan_holds_the_pipe(jobs: int, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pid"
    with fastos.run_many([sh(f"setsid sleep 60 & echo $! > {file}")], jobs=jobs) as results:
        results.feed()
        while not file.exists() or not file.read_text().endswith("\n"):
            time.sleep(0.005)
    os.kill(int(file.read_text()), signal.SIGKILL)


def test_no_busy_loop_while_streams_are_open() -> None:
    before = time.process_time()
    assert fastos.run(["sleep", "0.4"], capture=True, timeout=60).returncode == 0
    (result,) = fastos.run_many([["sleep", "0.4"]], timeout=60)
    assert result.success
    assert time.process_time() - before < 0.2
