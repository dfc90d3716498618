"""Process: waiting, polling and signalling, alone and from many threads; stolen statuses, forks, finalizers."""

import errno
import gc
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import fastos
from fastos import _backend, _process
from spawned import SH, output


def test_exit_code() -> None:
    for code in (0, 1, 255):
        status = fastos.spawn([SH, "-c", f"exit {code}"]).wait()
        assert (status.code, status.signal, status.lost, status.returncode) == (code, None, False, code)
        assert status.success == (code == 0)


def test_signal() -> None:
    status = fastos.spawn([SH, "-c", "kill -TERM $$"]).wait()
    assert (status.code, status.signal, status.core_dumped, status.returncode) == (None, 15, False, -15)
    assert not status.success
    assert repr(status) == "<ExitStatus signal=15>"


def test_status_is_a_value() -> None:
    status = fastos.spawn(["true"]).wait()
    assert status == fastos.ExitStatus(0)
    assert hash(status) == hash(fastos.ExitStatus(0))
    assert status != fastos.ExitStatus(1)
    assert status != 0
    copy = pickle.loads(pickle.dumps(status))
    assert copy == status
    assert copy.rusage == status.rusage
    with pytest.raises(AttributeError, match="immutable"):
        status.code = 1
    assert repr(fastos.ExitStatus(lost=True)) == "<ExitStatus lost>"
    assert repr(fastos.ExitStatus(None, 11, True)) == "<ExitStatus signal=11 core dumped>"
    assert fastos.ExitStatus(lost=True).rusage is None


def test_usage_is_that_of_the_child() -> None:
    code = "import time, os\nwhile sum(os.times()[:2]) < 0.15: pass\nblock = bytearray(50_000_000)"
    status = fastos.spawn([sys.executable, "-I", "-S", "-c", code]).wait()
    assert isinstance(status.rusage, resource.struct_rusage)
    assert 0.1 < status.rusage.ru_utime + status.rusage.ru_stime < 30
    assert status.rusage.ru_maxrss > 50_000
    assert status.rusage.ru_minflt > 1000


def test_poll_does_not_wait() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        assert process.poll() is None
        process.stdin.close()
        assert process.wait() is process.poll() is process.wait(0)


def test_timeout() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        for timeout in (0, 1e-9, 0.0004, 0.03, -1):
            start = time.monotonic_ns()
            with pytest.raises(TimeoutError, match=f"process {process.pid} still runs"):
                process.wait(timeout)
            assert time.monotonic_ns() - start >= timeout * 1e9
        process.stdin.close()
        assert process.wait(60).code == 0


@pytest.mark.native
def test_pidfd_is_for_event_loops() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        assert process.pidfd == process.fileno()
        assert not os.get_inheritable(process.fileno())
        assert select.select([process], [], [], 0)[0] == []
        process.stdin.close()
        assert select.select([process], [], [], 20)[0] == [process]
        assert process.poll() == fastos.ExitStatus(0)
        assert process.pidfd is None


def test_many_threads_wait_for_one() -> None:
    process = fastos.spawn(["cat"], stdin=fastos.PIPE)
    found: list[object] = []
    ready = threading.Barrier(17)

    def wait(timeout: float | None) -> None:
        ready.wait()
        found.append(process.wait(timeout))

    threads = [threading.Thread(target=wait, args=(None if n % 2 else 60,)) for n in range(16)]
    for thread in threads:
        thread.start()
    ready.wait()
    with pytest.raises(TimeoutError):
        process.wait(0.02)
    assert process.poll() is None
    process.close()
    for thread in threads:
        thread.join()
    assert found == [fastos.ExitStatus(0)] * 16
    assert len(set(map(id, found))) == 1


def test_other_threads_run_meanwhile() -> None:
    process = fastos.spawn(["cat"], stdin=fastos.PIPE)
    waiting = threading.Thread(target=process.wait)
    waiting.start()
    process.close()  # possible only if wait does not hold the interpreter
    waiting.join()
    assert process.poll() == fastos.ExitStatus(0)


# -- signals


def test_send_signal() -> None:
    with fastos.spawn(["sleep", "1000"]) as process:
        assert process.send_signal(0)
        assert process.send_signal(signal.SIGINT)
    assert process.wait().signal == signal.SIGINT
    assert not process.send_signal(signal.SIGKILL)
    assert not process.kill()


def test_signal_that_is_none() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        if _backend.COMPILED:
            with pytest.raises(OSError) as caught:
                process.send_signal(1000)
            assert caught.value.errno == errno.EINVAL


def test_signal_to_a_zombie_is_harmless() -> None:
    process = fastos.spawn(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.send_signal(signal.SIGKILL)
    assert process.wait().code == 0


def test_terminate() -> None:
    assert fastos.spawn(["sleep", "1000"]).terminate().signal == signal.SIGTERM
    process = fastos.spawn(["true"])
    process.wait()
    assert process.terminate() == fastos.ExitStatus(0)


def test_terminate_stopped() -> None:
    process = fastos.spawn(["sleep", "1000"])
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert process.poll() is None
    assert process.terminate(grace=60).signal == signal.SIGTERM


def test_terminate_kills_at_the_deadline() -> None:
    with fastos.spawn([SH, "-c", "trap '' TERM; echo; while :; do sleep 0.1; done"], stdout=fastos.PIPE) as process:
        process.stdout.readline()
        assert process.terminate(grace=0.05).signal == signal.SIGKILL


def test_stopped_child_has_not_ended() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert process.poll() is None
        with pytest.raises(TimeoutError):
            process.wait(0.01)
        process.send_signal(signal.SIGCONT)
    assert process.wait().code == 0


def test_signal_handler_runs_while_waiting_and_may_wait_itself() -> None:
    process = fastos.spawn(["sleep", "1000"])
    seen = []

    def handler(*_: object) -> None:
        process.kill()
        seen.append(process.wait())

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert process.wait().signal == signal.SIGKILL
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [process.wait()]


def test_exception_in_a_handler_ends_the_wait() -> None:
    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                process.wait()
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(KeyboardInterrupt):
                process.wait(1000)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert process.wait().code == 0


def test_storm_of_signals() -> None:
    """Every system call of the parent may be interrupted; nothing is lost, nothing fails."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(50):
            with fastos.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
                process.stdin.write(b"text")
                process.stdin.close()
                assert process.stdout.read() == b"text"
                with pytest.raises(fastos.SpawnError):
                    fastos.spawn(["/nonexistent"])
            assert process.wait(10) == fastos.ExitStatus(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- stolen statuses


def test_thief() -> None:
    process = fastos.spawn(["true"])
    os.waitpid(-1, 0)
    status = process.wait()
    assert status.lost
    assert (status.code, status.signal, status.rusage, status.returncode, status.success) == (
        None,
        None,
        None,
        None,
        False,
    )
    assert process.poll() is status


def test_sigchld_ignored() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = fastos.spawn(["cat"], stdin=fastos.PIPE)
        with pytest.raises(TimeoutError):
            process.wait(0.01)
        process.close()
        assert process.wait(60).lost
        assert fastos.spawn(["true"]).wait().lost
        with pytest.raises(FileNotFoundError):
            fastos.spawn(["/nonexistent"])
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_no_signal_to_who_got_the_pid() -> None:
    process = fastos.spawn(["true"])
    os.waitpid(process.pid, 0)
    assert not process.send_signal(signal.SIGTERM)
    assert process.wait().lost


# -- forks


def test_forked_copy_refuses() -> None:
    process = fastos.spawn(["cat"], stdin=fastos.PIPE)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            refused = 0
            for method in (process.wait, process.poll, process.kill, process.terminate, process.kill_tree):
                try:
                    method()
                except ChildProcessError:
                    refused += 1
            assert fastos.spawn(["true"]).wait().code == 0
            code = 0 if refused == 5 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    process.close()
    assert process.wait().code == 0


def test_fork_while_threads_spawn() -> None:
    """A forked child is as able to spawn as its parent, whatever its threads were doing."""
    code = (
        "import fastos, os, threading, time\n"
        "def work():\n"
        "    while not stop: fastos.spawn(['true'], **options).wait()\n"
        "stop = False\n"
        "options = {'user': 1, 'group': 1} if os.geteuid() == 0 else {}\n"
        "fastos.spawn(['true'], **options).wait()\n"  # what is imported now cannot be locked by an import at the fork
        "threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "for _ in range(20):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(fastos.spawn(['true'], **options).wait().code)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "stop = True\n"
        "[thread.join() for thread in threads]\n"
    )
    assert output([sys.executable, "-W", "ignore", "-c", code]) == ""


# -- processes that nobody waits for


def test_dropped_process_warns_and_is_reaped_later() -> None:
    process = fastos.spawn(["cat"], stdin=fastos.PIPE)
    pid, stdin = process.pid, process.stdin
    with pytest.warns(ResourceWarning, match=f"process {pid} .* was not waited for"):
        del process
    assert len(_process._abandoned) == 1
    stdin.close()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    fastos.spawn(["true"]).wait()  # reaps what was left
    assert not _process._abandoned
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


def test_dropped_process_that_ended_is_reaped_at_once() -> None:
    process = fastos.spawn(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    del process
    gc.collect()
    assert not _process._abandoned


def test_pipes_that_nobody_asked_for_are_closed() -> None:
    process = fastos.spawn(["true"], stdin=fastos.PIPE, stdout=fastos.PIPE, stderr=fastos.PIPE)
    process.wait()
    del process
    gc.collect()  # the leak check counts the descriptors


def test_context_manager_waits() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE) as process:
        process.stdin.write(b"x" * 1000)
    assert process.wait(0).code == 0
    with fastos.spawn(["true"], stdin=fastos.PIPE) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        process.stdin.write(b"x" * 10)  # the broken pipe at the close is not an error of the block


# -- many at once


@pytest.mark.native
def test_sixty_four_threads() -> None:
    """No descriptor in another's child, no zombie, no lost status; and Python runs on meanwhile."""
    each, failures, ticks = 12, [], []
    stop = threading.Event()

    def work(number: int) -> None:
        for turn in range(each):
            expected = (number * each + turn) % 256
            script = f"set -- /proc/self/fd/*; [ $# -le 4 ] || exit 99; cat; exit {expected % 90}"
            process = fastos.spawn([SH, "-c", script], stdin=fastos.PIPE, stdout=fastos.PIPE)
            process.stdin.write(b"%d" % expected)
            process.stdin.close()
            text = process.stdout.read()  # ends only if no other child holds this pipe
            status = process.wait()
            process.close()
            if (text, status.code, status.lost) != (b"%d" % expected, expected % 90, False):
                failures.append((text, status))

    def tick() -> None:
        while not stop.wait(0.001):
            ticks.append(1)

    ticking = threading.Thread(target=tick)
    ticking.start()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    ticking.join()
    assert failures == []
    assert len(ticks) > 10


# -- namespaces


UNSHARE = pytest.mark.skipif(
    not Path("/usr/bin/unshare").exists() or os.name != "posix" or os.geteuid() != 0, reason="needs unshare as root"
)


@UNSHARE
def test_as_the_first_process_of_a_namespace() -> None:
    """PID 1 has no default actions and inherits orphans; its own children are waited for by pidfd all the same."""
    code = (
        "import fastos, os\n"
        "assert os.getpid() == 1\n"
        "p = fastos.spawn(['sh', '-c', 'sleep 0.01 & exit 3'])\n"
        "print(p.wait().code, fastos.spawn(['sleep', '1000']).terminate().signal)\n"
        "try: fastos.spawn(['/nonexistent'])\n"
        "except FileNotFoundError: print('missing')\n"
    )
    args = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    assert output(args) == "3 15\nmissing\n"


@UNSHARE
@pytest.mark.linux_native
def test_pid_that_is_reused_is_not_hit() -> None:
    """The status is stolen and the pid goes to a stranger: no signal and no wait reaches it."""
    code = (
        "import fastos, os, signal\n"
        "p = fastos.spawn(['true'])\n"
        "os.waitpid(p.pid, 0)\n"
        "open('/proc/sys/kernel/ns_last_pid', 'w').write(str(p.pid - 1))\n"
        "stranger = fastos.spawn(['sleep', '1000'])\n"
        "assert stranger.pid == p.pid, (stranger.pid, p.pid)\n"
        "assert p.send_signal(signal.SIGKILL) is False\n"
        "assert p.wait().lost and p.terminate().lost and p.kill_tree() == []\n"
        "assert stranger.poll() is None\n"
        "print(stranger.terminate().signal)\n"
    )
    args = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    assert output(args) == "15\n"
