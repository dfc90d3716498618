"""A Process beyond its status: in forked copies, dropped, made by many threads, in namespaces."""

import gc
import os
import select
import sys
import threading
from pathlib import Path

import pytest

import fastos
from fastos import _process
from spawned import SH, output

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


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no pidfds")
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_dropped_process_reads_the_end_of_its_input() -> None:
    """It would wait for ever if what nobody can write to stayed open. A warning that is an error changes nothing."""
    process = fastos.spawn(["cat"], stdin=fastos.PIPE)
    pidfd = os.pidfd_open(process.pid)
    try:
        del process
        gc.collect()
        assert select.select([pidfd], [], [], 20)[0]
    finally:
        os.close(pidfd)
    fastos.spawn(["true"]).wait()
    assert not _process._abandoned


def test_abandoned_children_are_reaped_within_reaping(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of a signal may spawn, in the middle of it."""

    class Child:
        asked = closed = 0

        def wait(self, _: int) -> int:
            self.asked += 1
            if self.asked == 1:
                _process.reap_abandoned()
            return 1

        def close(self) -> None:
            self.closed += 1

    child = Child()
    monkeypatch.setattr(_process, "_abandoned", [child])
    _process.reap_abandoned()
    assert _process._abandoned == []
    assert child.closed == 2


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


def as_first_process(code: str) -> str:
    """What Python code writes that is the first process of a namespace."""
    return output(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code])


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
    assert as_first_process(code) == "3 15\nmissing\n"


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
    assert as_first_process(code) == "15\n"
