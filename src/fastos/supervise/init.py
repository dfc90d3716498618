"""The first process of a container: reaps orphans and forwards signals.

`run_command` is the whole of `fastos supervise -- COMMAND`, as `tini -- COMMAND` does it; `OrphanReaper` does the
reaping for a supervisor that is PID 1, without taking the status of a child that is the supervisor's own.
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fastos.supervise.supervisor import Supervisor

# Not forwarded: they are about this process, or cannot be caught.
_OURS: Final = frozenset(
    {
        signal.SIGCHLD,
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGABRT,
        signal.SIGTRAP,
        signal.SIGSYS,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)
_SET_CHILD_SUBREAPER: Final = 36
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126


def become_subreaper() -> None:
    """Orphans below this process become its children, as if it were PID 1 (prctl(2)). Raises OSError."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def exit_code(status: int) -> int:
    """The exit code of a shell: the child's, or 128 + the signal that ended it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def run_command(
    command: Sequence[str],
    *,
    subreaper: bool = False,
    forward_to_group: bool = False,
    expected: frozenset[int] = frozenset(),
) -> int:
    """Runs a command as the first process does: waits, forwards, reaps; returns its exit code, or 128 + its signal.

    The command gets its own process group, and the terminal if there is one. `expected` exit codes become 0. Returns
    127 if
    there is no such command, 126 if it cannot be executed. Must be called in the main thread of a process of its own.
    """
    if subreaper and os.getpid() != 1:
        become_subreaper()
    watched = frozenset(signal.valid_signals()) - _OURS | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # taking the terminal back must not stop us
    try:
        child = _start(command, before)
        while True:
            received = signal.sigwaitinfo(watched)
            if received.si_signo != signal.SIGCHLD:
                _forward(child, received.si_signo, forward_to_group)
            status = _reap_all(child)
            if status is not None:
                code = exit_code(status)
                return 0 if code in expected else code
    except OSError as error:
        print(f"fastos supervise: {command[0]}: {error.strerror}", flush=True)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


def _start(command: Sequence[str], mask: set[signal.Signals | int]) -> int:
    actions = dict.fromkeys((signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE), signal.SIG_DFL)
    child = os.posix_spawnp(
        command[0], list(command), os.environ, setpgroup=0, setsigmask=mask, setsigdef=list(actions)
    )
    with contextlib.suppress(OSError):
        os.tcsetpgrp(0, child)
    return child


def _forward(child: int, number: int, to_group: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if to_group else os.kill)(child, number)


def _reap_all(child: int) -> int | None:
    """Takes every status that there is; returns the child's, if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


class OrphanReaper:
    """Takes the status of children that are not the supervisor's: a look at who ended comes first, and takes
    nothing."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    def reap(self) -> None:
        """Call it in the supervisor's thread after SIGCHLD."""
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    return
                unit = self._supervisor.by_pid.get(ended.si_pid)
                if unit is not None:
                    self._supervisor.child_ended(unit)
                    if self._supervisor.by_pid.get(ended.si_pid) is unit and unit.pid == ended.si_pid:
                        return  # it is still ours to take: the pidfd will say so
                elif (check := self._supervisor.processes.checks.get(ended.si_pid)) is not None:
                    check.on_ready(0)  # takes it, so that those behind it are seen
                    if self._supervisor.processes.checks.get(ended.si_pid) is not None:
                        return
                else:
                    os.waitpid(ended.si_pid, os.WNOHANG)
