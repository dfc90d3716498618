"""spawn: limits, scheduling, sessions, signals; each step of the child failed on purpose."""

import errno
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastos
from fastos import _run_plan
from spawned import SH, output, python, shell


def raised(**options: object) -> fastos.SpawnError:
    """What a spawn with these options raises. The leak check sees that nothing is left."""
    with pytest.raises(fastos.SpawnError) as caught:
        fastos.spawn(["true"], stdin=fastos.PIPE, stdout=fastos.PIPE, **options)
    return caught.value


# -- limits and scheduling


@pytest.mark.native
def test_limits() -> None:
    code = "import resource as r; print(*r.getrlimit(r.RLIMIT_NOFILE), *r.getrlimit(r.RLIMIT_CORE))"
    limits = {resource.RLIMIT_NOFILE: (40, 50), "core": 0}
    assert python(code, rlimits=limits) == "40 50 0 0"
    assert python(code, rlimits={"RLIMIT_CORE": (0, -1)}, user=None).split()[2:] == ["0", "-1"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) != (40, 50)


@pytest.mark.native
def test_limits_hold_after_the_descriptors_are_made() -> None:
    assert fastos.spawn(["true"], fds={30: 1}, rlimits={"NOFILE": 10}).wait().code == 0


@pytest.mark.native
def test_limit_that_fails_is_named() -> None:
    error = raised(rlimits={"NOFILE": (10, 1 << 40)})
    assert (error.step, error.errno) == ("setrlimit(RLIMIT_NOFILE)", errno.EPERM)
    assert isinstance(error, PermissionError)
    assert str(error) == "[Errno 1] setrlimit(RLIMIT_NOFILE): Operation not permitted"
    assert raised(rlimits={"CORE": (2, 1)}).errno == errno.EINVAL


@pytest.mark.native
def test_limits_that_are_none() -> None:
    with pytest.raises(ValueError, match="no RLIMIT_NOTHING"):
        fastos.spawn(["true"], rlimits={"nothing": 1})
    with pytest.raises(ValueError, match="not a limit"):
        fastos.spawn(["true"], rlimits={"NOFILE": -2})


@pytest.mark.native
@pytest.mark.parametrize(
    "options",
    [{"user": 1.5}, {"group": b"wheel"}, {"groups": [None]}, {"fds": {"3": 0}}, {"fds": ["3"]}, {"stdin": "f"}],
)
def test_what_is_of_the_wrong_type(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        fastos.spawn(["true"], **options)


@pytest.mark.native
def test_nice_is_a_value_not_an_increment() -> None:
    assert shell("nice", nice=7) == "7"
    assert output([sys.executable, "-c", "import fastos; fastos.spawn(['nice'], nice=7).wait()"], nice=5) == "7\n"


@pytest.mark.native
def test_affinity() -> None:
    cpu = max(os.sched_getaffinity(0))
    assert python("import os; print(os.sched_getaffinity(0))", affinity=[cpu]) == f"{{{cpu}}}"
    error = raised(affinity=[4095])
    assert (error.step, error.errno) == ("sched_setaffinity", errno.EINVAL)
    for wrong in ([], [-1], [1 << 20]):
        with pytest.raises(ValueError, match="affinity"):
            fastos.spawn(["true"], affinity=wrong)


@pytest.mark.native
@pytest.mark.parametrize("score", [1000, 1, 345])
def test_oom_score(score: int) -> None:
    assert shell("cat /proc/self/oom_score_adj", oom_score_adj=score) == str(score)
    assert Path("/proc/self/oom_score_adj").read_text() == "0\n"


@pytest.mark.native
def test_oom_score_that_fails() -> None:
    error = raised(oom_score_adj=1001)
    assert (error.step, error.errno) == ("oom_score_adj", errno.EINVAL)
    assert raised(oom_score_adj=-2147483648).errno == errno.EINVAL


@pytest.mark.native
def test_no_new_privileges() -> None:
    before = Path("/proc/self/status").read_text().partition("NoNewPrivs:\t")[2][0]
    assert "NoNewPrivs:\t1" in shell("cat /proc/self/status", no_new_privs=True)
    assert f"NoNewPrivs:\t{before}" in Path("/proc/self/status").read_text()


# -- sessions


def test_new_session() -> None:
    ids = python("import os; print(os.getsid(0) == os.getpid() == os.getpgid(0))", new_session=True)
    assert ids == "True"


def test_process_group() -> None:
    code = "import os; print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid())"
    assert python(code, process_group=0) == "True False"
    with fastos.spawn(["cat"], stdin=fastos.PIPE, process_group=0) as leader:
        assert python("import os; print(os.getpgid(0))", process_group=leader.pid) == str(leader.pid)


@pytest.mark.native
def test_process_group_that_fails() -> None:
    error = raised(process_group=0x7FFFFFF0)
    assert (error.step, error.errno) == ("setpgid", errno.EPERM)
    assert raised(process_group=0, new_session=True).step == "setpgid"
    with pytest.raises(ValueError, match="process_group"):
        fastos.spawn(["true"], process_group=-1)


# -- signals


MASK = "import signal; print(*sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"


@pytest.fixture
def blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_mask_is_inherited(blocked: None) -> None:
    assert python(MASK) == f"{int(signal.SIGUSR2)} {int(signal.SIGTERM)}"
    assert signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.native
def test_mask_is_set(blocked: None) -> None:
    assert python(MASK, signal_mask=[]) == ""
    assert python(MASK, signal_mask=[signal.SIGHUP, 34, 64]) == "1 34 64"
    with pytest.raises(ValueError, match="signal_mask"):
        fastos.spawn(["true"], signal_mask=[65])


@pytest.mark.native
def test_mask_here_is_as_before_even_after_a_failure(blocked: None) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pytest.raises(FileNotFoundError):
        fastos.spawn(["/nonexistent"], signal_mask=[])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def ignored(**options: object) -> set[int]:
    line = next(line for line in output(["cat", "/proc/self/status"], **options).splitlines() if "SigIgn" in line)
    bits = int(line.split()[1], 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


def test_what_python_ignores_is_restored() -> None:
    assert not ignored() & {signal.SIGPIPE, signal.SIGXFSZ}
    assert {signal.SIGPIPE, signal.SIGXFSZ} <= ignored(restore_signals=False)


def test_what_the_program_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert signal.SIGUSR1 in ignored()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_no_handler_runs_in_a_child() -> None:
    """Signals are sent to the group while children are between the clone and the exec: handlers run only here.

    The storm leaves the handler time to end (else Python's handlers nest until they raise), and ends with the group.
    """
    code = (
        "import fastos, os, signal\n"
        "pids = set()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: pids.add(os.getpid()))\n"
        "os.setpgid(0, 0)\n"
        "storm = fastos.spawn(['sh', '-c', 'while kill -USR1 -$1; do sleep 0.001; done', 'sh', str(os.getpgrp())],\n"
        "    new_session=True, stdout=fastos.DEVNULL, stderr=fastos.DEVNULL)\n"
        "ended = [fastos.spawn(['true']).wait() for _ in range(400)]\n"
        "storm.kill(); storm.wait()\n"
        "assert pids == {os.getpid()}\n"
        "print(all(status.code == 0 or status.signal == signal.SIGUSR1 for status in ended))\n"
    )
    assert output([sys.executable, "-c", code]) == "True\n"


# -- the parent's death

DIES = """
import fastos, os, sys, threading
{how}
sys.stdout.write(str(process.pid)); sys.stdout.flush()
sys.stdin.read()
os.kill(os.getpid(), 9)
"""
HERE = "process = fastos.spawn(['sleep', '1000'], stdin=fastos.DEVNULL, stdout=fastos.DEVNULL, die_with_parent=True)"
THREAD = f"""
def start():
    global process
    {HERE}
thread = threading.Thread(target=start); thread.start(); thread.join()
"""


@pytest.mark.native
@pytest.mark.parametrize("how", [HERE, THREAD], ids=["first thread", "other thread, ended"])
def test_die_with_parent(how: str) -> None:
    """The child lives on after the thread that spawned it, and dies with the process."""
    code = DIES.format(how=how)
    with fastos.spawn([sys.executable, "-c", code], stdin=fastos.PIPE, stdout=fastos.PIPE) as parent:
        pid = int(os.read(parent.stdout.fileno(), 20))
        child = os.pidfd_open(pid)
        try:
            # It slept through the end of the thread: it is there, and not dying.
            assert Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] not in "ZX"
            assert fastos.spawn(["kill", "-0", str(pid)]).wait().code == 0
            parent.stdin.close()
            assert parent.wait().signal == signal.SIGKILL
            assert select.select([child], [], [], 20)[0] == [child]
        finally:
            os.close(child)


@pytest.mark.native
def test_die_with_parent_by_another_signal() -> None:
    code = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"
    assert output([sys.executable, "-c", code], die_with_parent=signal.SIGTERM) == "15\n"
    assert output([sys.executable, "-c", code], die_with_parent=True) == "9\n"
    assert output([sys.executable, "-c", code]) == "0\n"


@pytest.mark.native
def test_die_with_parent_keeps_the_callers_signal_mask() -> None:
    """Whichever thread it is that has to start it: in a process of its own, since that thread stays."""
    code = """
import fastos, signal, threading
def show():
    for mask in [], [signal.SIGTERM]:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        fastos.spawn(["sed", "-n", "s/^SigBlk://p", "/proc/self/status"], die_with_parent=True).wait()
thread = threading.Thread(target=show)
thread.start()
thread.join()
"""
    found = output([sys.executable, "-c", code]).split()
    assert [int(mask, 16) for mask in found] == [0, 1 << signal.SIGTERM - 1]


@pytest.mark.native
def test_die_with_parent_wants_a_signal() -> None:
    error = raised(die_with_parent=100)
    assert (error.step, error.errno) == ("die_with_parent", errno.EINVAL)


@pytest.mark.native
@pytest.mark.root
def test_die_with_parent_after_a_change_of_ids(ordinary_user: tuple[int, int]) -> None:
    uid, gid = ordinary_user
    code = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"
    python_binary = os.path.realpath(sys.executable)
    probe = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", "test", "-x", python_binary], check=False)
    if probe.returncode:  # an interpreter that only root can reach: ask the kernel another way
        options = {"user": uid, "group": gid, "groups": [], "die_with_parent": True}
        with fastos.spawn([SH, "-c", "read x"], stdin=fastos.PIPE, **options) as process:
            process.stdin.write(b"\n")
        assert process.wait().code == 0
        return
    assert output([python_binary, "-c", code], user=uid, group=gid, groups=[], die_with_parent=True) == "9\n"


# -- options that are none


NONSENSE = [1.5, object(), "x", b"x", [], {}, (1, 2), ["a"], {"a": 1}, float("nan"), 2**70]
ANYTHING = {  # of all that, what an option takes, or finds out about later
    **dict.fromkeys(("fds", "affinity", "signal_mask"), ([], {}, (1, 2), b"x")),
    **dict.fromkeys(("groups", "rlimits"), ([], {}, (1, 2), b"x", ["a"], {"a": 1})),
    **dict.fromkeys(("cwd", "cgroup", "executable", "user", "group"), ("x", b"x", 2**70)),
    "env": ({},),
}


@pytest.mark.native
@pytest.mark.parametrize("option", [*_run_plan._SPAWN_OPTIONS, "stdin", "stdout", "stderr", "timeout", "output_limit"])
def test_nonsense_is_called_by_its_name(option: str) -> None:
    for value in NONSENSE:
        if value in ANYTHING.get(option, ()) or (option, value) == ("output_limit", 2**70):
            continue
        if option in ("new_session", "no_new_privs", "restore_signals") or (option, value) == ("timeout", 1.5):
            continue  # any object is true or false
        if (option, value) == ("timeout", 2**70):
            continue
        with pytest.raises((TypeError, ValueError), match=rf"^{option}\b"):
            fastos.run(["true"], **{option: value})
        with pytest.raises((TypeError, ValueError), match=rf"^{option}\b"):
            fastos.run_many([["true"]], **{option: value})
