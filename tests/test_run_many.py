"""run_many: many at once, in order or as they end, lazily, with deadlines, and nothing left behind."""

import itertools
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import fastos
from conftest import settle
from fastos import _backend


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.mark.parametrize("jobs", [1, 2, 7, 64])
def test_every_command_has_its_result(jobs: int) -> None:
    commands = [sh(f"echo {number}; exit {number % 3}") for number in range(50)]
    results = list(fastos.run_many(commands, jobs=jobs, text=True))
    assert sorted(result.index for result in results) == list(range(50))
    for result in results:
        assert result.args == commands[result.index]
        assert (result.stdout, result.returncode) == (f"{result.index}\n", result.index % 3)


def test_in_order() -> None:
    commands = [sh("sleep 0.2"), *[["true"]] * 20]
    assert [result.index for result in fastos.run_many(commands, jobs=4, ordered=True)] == list(range(21))


def test_as_they_end() -> None:
    first = next(iter(fastos.run_many([["sleep", "60"], ["true"]], jobs=2)))
    assert first.index == 1


def test_the_iterable_is_read_lazily() -> None:
    read = 0

    def endless() -> Iterator[list[str]]:
        nonlocal read
        while True:
            read += 1
            yield ["true"]

    with fastos.run_many(endless(), jobs=2) as results:
        assert len(list(itertools.islice(results, 50))) == 50
    assert read <= 50 + 2 + 64


def test_own_options() -> None:
    commands = [
        fastos.Command(["cat"], input=b"in"),
        {"args": sh("echo $A"), "env": {"A": "x"}},
        fastos.Command(["sleep", "60"], timeout=0.1),
        fastos.Command(sh("echo a; echo b >&2"), stdout=fastos.PIPE, stderr=fastos.DEVNULL, text=True),
    ]
    cat, env, late, one = fastos.run_many(commands, jobs=3, ordered=True)
    assert cat.stdout == b"in"
    assert env.stdout == b"x\n"
    assert late.timed_out
    assert (one.stdout, one.stderr) == ("a\n", None)


def test_what_cannot_be_started_is_a_result() -> None:
    commands = [["/nowhere/program"], ["echo", "nul\0inside"], ["/etc"], ["true"]]
    missing, nul, directory, fine = fastos.run_many(commands, ordered=True)
    assert isinstance(missing.error, FileNotFoundError)
    assert isinstance(missing.error, fastos.SpawnError)
    assert missing.error.filename == "/nowhere/program"
    assert missing.returncode == 127
    assert isinstance(nul.error, ValueError)
    assert isinstance(directory.error, PermissionError)
    assert directory.returncode == 126
    assert fine.success
    with pytest.raises(FileNotFoundError):
        missing.check_returncode()


def test_what_a_failure_says_is_about_its_own_program() -> None:
    fine, missing = fastos.run_many([["/bin/true"], ["/nowhere/program"]], ordered=True)
    assert fine.success
    assert "/nowhere/program" in str(missing.error)
    assert "interpreter" not in str(missing.error)


def test_commands_alike_and_not_keep_their_order(tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    script = f"echo $1 >> {log}"
    commands: list[list[str] | fastos.Command] = [[*sh(script), "sh", str(number)] for number in range(20)]
    for number in (0, 3, 4, 9, 19):
        commands[number] = fastos.Command(commands[number], timeout=60)  # type: ignore[arg-type]
    commands[12:12] = [["echo", "nul\0"]]
    results = list(fastos.run_many(commands, jobs=1, text=True))
    assert log.read_text() == "".join(f"{number}\n" for number in range(20))
    assert sorted(result.index for result in results if not result.success) == [12]


def test_programs_are_looked_for_one_by_one() -> None:
    names = ["true", "/bin/true", "false", "/nowhere", "no-such-program-at-all"]
    results = [
        (result.args[0], result.returncode) for result in fastos.run_many([[name] for name in names * 3], jobs=2)
    ]
    assert sorted(results) == sorted(list(zip(names, (0, 0, 1, 127, 127), strict=True)) * 3)


def test_an_executable_for_all() -> None:
    results = fastos.run_many([["one", "-c", "echo $0"], ["two", "-c", "echo $0"]], executable="sh", ordered=True)
    assert [result.stdout for result in results] == [b"one\n", b"two\n"]


def test_undecodable_output_is_a_result() -> None:
    (result,) = fastos.run_many([["printf", r"\377"]], encoding="utf-8")
    assert isinstance(result.error, UnicodeDecodeError)
    assert result.stdout == b"\xff"


def test_a_command_that_is_none() -> None:
    results = fastos.run_many([["true"], "true; a string"], jobs=1)
    assert next(results).success
    with pytest.raises(TypeError, match="no shell"):
        next(results)


def test_what_the_iterable_raises_comes_after_the_results() -> None:
    def broken() -> Iterator[list[str]]:
        yield ["true"]
        raise KeyError("source")

    results = fastos.run_many(broken())
    assert next(results).success
    with pytest.raises(KeyError, match="source"):
        next(results)
    assert list(results) == []


def test_stop_on_error() -> None:
    results = fastos.run_many([["false"], *[sh("sleep 0.05")] * 100], jobs=1, stop_on_error=True)
    seen = list(results)
    assert len(seen) + results.skipped < 101
    assert not seen[0].success


@pytest.mark.parametrize("count", [4, 400])
@pytest.mark.parametrize("failing", [["false"], ["/no/such/program"], ["nul\0"]])
def test_after_a_failure_nothing_more_is_started(tmp_path: pathlib.Path, count: int, failing: list[str]) -> None:
    commands = [["true"], failing, *[["touch", str(tmp_path / "started")]] * count]
    results = fastos.run_many(commands, jobs=1, stop_on_error=True)
    assert [done.args[0] for done in results][-1] == failing[0]
    assert not (tmp_path / "started").exists()


def test_progress() -> None:
    seen: list[fastos.Progress] = []
    list(fastos.run_many([["true"], ["false"]], jobs=1, progress=seen.append))
    assert [(step.finished, step.total) for step in seen] == [(1, 2), (2, 2)]
    assert seen[-1].failed == 1


def test_no_commands() -> None:
    assert list(fastos.run_many([])) == []


@pytest.mark.parametrize("options", [{"jobs": 0}, {"nonsense": 1}, {"output_limit": -1}])
def test_nonsense_is_refused_before_any_work(options: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        fastos.run_many([["true"]], **options)  # type: ignore[arg-type]


def test_dropped_half_way() -> None:
    """The leak check sees that the children are killed and reaped."""
    results = fastos.run_many([["true"], *[["sleep", "60"]] * 10], jobs=5)
    assert next(results).success
    del results


def test_dropped_with_grandchildren(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pid"
    with fastos.run_many([sh(f"sleep 60 & echo $! > {file}; wait")]) as results:
        results.feed()
        while not file.exists() or not file.read_text().endswith("\n"):
            time.sleep(0.005)
    pid = int(file.read_text())
    deadline = time.monotonic() + 10
    while (stat := pathlib.Path(f"/proc/{pid}/stat")).exists() and stat.read_text().rpartition(")")[2].split()[
        0
    ] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_deadlines_each_on_its_own() -> None:
    commands = [fastos.Command(["sleep", "60"], timeout=0.05 * number) for number in range(1, 9)]
    results = list(fastos.run_many(commands, jobs=8))
    assert all(result.timed_out and result.returncode == -signal.SIGKILL for result in results)


def test_limit() -> None:
    one, two = fastos.run_many([["yes"], ["echo", "short"]], ordered=True, output_limit=4096, kill_at_limit=True)
    assert one.truncated
    assert len(one.stdout) == 4096
    assert not two.truncated


def test_much_output_of_many() -> None:
    results = list(fastos.run_many([["head", "-c", "3000000", "/dev/zero"]] * 8, jobs=4))
    assert [len(result.stdout) for result in results] == [3_000_000] * 8


def test_standard_input_is_empty() -> None:
    (result,) = fastos.run_many([["cat"]])
    assert result.stdout == b""


@pytest.mark.native
def test_usage_of_each() -> None:
    for result in fastos.run_many([["true"]] * 5):
        assert result.rusage is not None
        assert result.rusage.ru_maxrss > 0


def test_few_descriptors_mean_fewer_at_once() -> None:
    if _backend.NAME == "stdlib":
        pytest.skip("subprocess fails with EMFILE")
    open_now = max(map(int, os.listdir("/proc/self/fd"))) + 1
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 30, hard))
    try:
        results = list(fastos.run_many([sh("sleep 0.02; echo x")] * 60, jobs=60))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(result.stdout == b"x\n" for result in results)


@pytest.mark.native
def test_no_thread_for_each_process() -> None:
    with fastos.run_many([["sleep", "60"]] * 100, jobs=100) as results:
        results.feed()
        while results.running < 100:
            time.sleep(0.005)
        assert len(os.listdir("/proc/self/task")) < 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_run_alone() -> None:
    with fastos.run_many([["sleep", "0.3"]] * 2, jobs=2) as results:
        results.feed()
        pid = os.fork()
        if pid == 0:
            results.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert all(result.success for result in results)


def test_an_interrupt_ends_it() -> None:
    code = (
        "import fastos, os, signal, threading\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    list(fastos.run_many([['sleep', '60']] * 3, jobs=3))\n"
        "except KeyboardInterrupt:\n"
        "    try:\n"
        "        os.waitpid(-1, os.WNOHANG)\n"
        "    except ChildProcessError:\n"
        "        print('nothing left')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "nothing left\n", done.stderr


def test_children_have_the_signal_mask_of_the_caller() -> None:
    script = "import signal; print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    (result,) = fastos.run_many([[sys.executable, "-c", script]], text=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize("jobs", [2, 20])
def test_a_handler_of_sigchld_is_called(jobs: int) -> None:
    called = []
    before = signal.signal(signal.SIGCHLD, lambda *_: called.append(threading.get_ident()))
    try:
        results = fastos.run_many([["true"]] * 40, jobs=jobs)
        assert sum(result.success for result in results) == 40
        assert set(called) == {threading.get_ident()}
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_breaks_in_a_worker_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    if fastos._backend.COMPILED:
        return  # its workers run no Python
    from fastos._backend import stdlib_run

    def broken(run: object) -> None:
        raise LookupError("broken")

    monkeypatch.setattr(stdlib_run._Run, "start", broken)
    with pytest.raises(LookupError, match="broken"):
        list(fastos.run_many([["true"]]))


@pytest.mark.parametrize("before", [0, 1])
def test_a_value_error_of_the_iterable_is_no_command(before: int) -> None:
    def broken() -> Iterator[list[str]]:
        yield from [["true"]] * before
        raise ValueError("source")

    results = fastos.run_many(broken())
    assert [next(results).success for _ in range(before)] == [True] * before
    with pytest.raises(ValueError, match="source"):
        next(results)
    assert list(results) == []


# -- used and closed from elsewhere


@pytest.mark.parametrize("jobs", [2, 20])
def test_closed_by_another_thread(jobs: int) -> None:
    with fastos.run_many([["sleep", "60"]] * 30, jobs=jobs) as runs:
        found: list[list[fastos.Completed]] = []
        threads = [threading.Thread(target=lambda: found.append(list(runs))) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert settle(lambda: runs.running == jobs)
        runs.close()
        for thread in threads:
            thread.join()
        assert found == [[], [], []]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends a signal")
@pytest.mark.parametrize("jobs", [2, 20])
def test_closed_by_a_signal_handler(jobs: int) -> None:
    runs = fastos.run_many([["sleep", "60"]] * 30, jobs=jobs)
    before = signal.signal(signal.SIGALRM, lambda *_: runs.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        assert list(runs) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("jobs", [2, 20])
def test_closed_by_what_it_calls(jobs: int, ordered: bool) -> None:
    def commands() -> Iterator[list[str]]:
        yield from [["true"]] * 10
        runs.close()
        yield from [["true"]] * 1000

    runs = fastos.run_many(commands(), jobs=jobs, ordered=ordered)
    assert list(runs) == []
    runs = fastos.run_many([["true"]] * 1000, jobs=jobs, ordered=ordered, progress=lambda _: runs.close())
    assert len(list(runs)) < 10
    assert runs.closed


@pytest.mark.parametrize("jobs", [2, 20])
def test_iterated_by_several_threads(jobs: int) -> None:
    with fastos.run_many(([["echo", str(number)] for number in range(400)]), jobs=jobs) as runs:
        found: list[list[int]] = []
        threads = [threading.Thread(target=lambda: found.append([done.index for done in runs])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(itertools.chain(*found)) == list(range(400))


@pytest.mark.linux_native  # elsewhere a start has a pipe that the forked process keeps open
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("jobs", [2, 20])
def test_closed_while_a_forked_process_lives(jobs: int) -> None:
    """It has copies of all descriptors, so nothing may depend on their being closed. Nor does it iterate."""
    ours, theirs = os.pipe()
    with fastos.run_many([sh("echo; exec sleep 60")] * jobs, jobs=jobs, stdout=theirs) as runs:
        runs.feed()
        for _ in range(jobs):  # none is being started: what a start has open must not be copied
            os.read(ours, 1)
        pid = os.fork()
        if pid == 0:
            os.close(theirs)
            try:
                next(runs)
            except RuntimeError:
                os.read(ours, 1)
                os._exit(0)
            os._exit(1)
        runs.close()
    os.close(ours)
    os.close(theirs)
    assert os.waitpid(pid, 0)[1] == 0


def test_an_interrupt_in_the_iterable_is_not_put_off() -> None:
    def commands() -> Iterator[list[str]]:
        yield ["sleep", "60"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(fastos.run_many(commands()))


@pytest.mark.parametrize("jobs", [2, 20])
def test_the_end_of_the_interpreter_ends_it(jobs: int) -> None:
    """In a daemon thread too, which is never told. What still ran would keep the output open."""
    code = (
        "import fastos, sys, threading\n"
        f"runs = fastos.run_many([['sh', '-c', 'echo; exec sleep 60']] * {jobs}, jobs={jobs}, capture=False)\n"
        "threading.Thread(target=list, args=[runs], daemon=True).start()\n"
        "sys.stdin.read(1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for _ in range(jobs):
            assert program.stdout.read(1) == b"\n"
        program.stdin.close()
        assert select.select([program.stdout], [], [], 20)[0]
        assert program.stdout.read() == b""
        assert program.wait() == 0
