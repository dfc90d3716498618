"""Process: waiting, polling and signalling, alone and from many threads; stolen statuses, forks, finalizers."""

import errno
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time

import pytest

import fastos
from fastos import _backend
from spawned import SH
from storms import storm


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
    with storm(0.0005):
        for _ in range(50):
            with fastos.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
                process.stdin.write(b"text")
                process.stdin.close()
                assert process.stdout.read() == b"text"
                with pytest.raises(fastos.SpawnError):
                    fastos.spawn(["/nonexistent"])
            assert process.wait(10) == fastos.ExitStatus(0)


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
