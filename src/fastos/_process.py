"""Starting a process, and holding one: `spawn` and `Process`."""

import io
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastos import _backend
from fastos import _spawn_options as options
from fastos._exit_status import ExitStatus
from fastos._pty import PTY, PtyFile

if TYPE_CHECKING:
    from fastos._backend import native_spawn as backend
else:
    backend = _backend.topic("spawn")

PIPE = options.PIPE
STDOUT = options.STDOUT
DEVNULL = options.DEVNULL

# Children whose Process is gone while they run: asked for their status at each later spawn, so none stays a zombie
# for ever. Belongs to the process that made it.
_abandoned: list["backend.Child"] = []
_abandoned_lock = threading.Lock()


def spawn(
    args: options.Arguments,
    *,
    stdin: options.Stream = None,
    stdout: options.Stream = None,
    stderr: options.Stream = None,
    fds: options.Descriptors | None = None,
    cwd: "str | bytes | os.PathLike[str] | os.PathLike[bytes] | int | None" = None,
    env: options.Environment | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    groups: Iterable[str | int] | None = None,
    umask: int | None = None,
    rlimits: options.Limits | None = None,
    nice: int | None = None,
    affinity: Iterable[int] | None = None,
    oom_score_adj: int | None = None,
    new_session: bool = False,
    process_group: int | None = None,
    controlling_tty: "bool | int | options.HasFileno" = False,
    no_new_privs: bool = False,
    die_with_parent: "bool | signal.Signals" = False,
    cgroup: "str | os.PathLike[str] | int | None" = None,
    signal_mask: Iterable[int] | None = None,
    restore_signals: bool = True,
    executable: options.Argument | None = None,
) -> "Process":
    """Starts a program, with what its process shall be like said as data. No shell, no Python code in the child.

    The child inherits what is not said, but of the descriptors only 0, 1, 2 and `fds`, and no signal handler.

    Args:
        args: the program and its arguments. A program without a slash is looked for in the PATH of the child's
            environment, as execvp(3) does.
        stdin, stdout, stderr: PIPE (the attributes of the same name are then files), DEVNULL, a descriptor, a file,
            PTY or PTY(rows, columns) for a pseudo-terminal (`Process.pty`); stderr=STDOUT goes where stdout goes.
        fds: further descriptors, {number in the child: descriptor or file here}, any permutation; or those to be kept
            at their number.
        cwd: the directory to start in: a path or an open directory. Entered before the ids are changed; a relative
            program is looked for from there.
        env: the whole environment, in place of os.environ as it is.
        user, group, groups: names or ids to run as. A user alone brings the group of the passwd entry and the groups
            of the group database (whose answer holds for a second); groups=[] means none. Names are looked up here,
            not in the child. The child checks that all ids are set and that root is out of reach.
        umask: the file mode creation mask.
        rlimits: {resource.RLIMIT_NOFILE or "NOFILE": limit or (soft, hard)}; -1 is unlimited.
        nice: the nice value itself, -20 to 19 (not an increment).
        affinity: the CPUs to run on.
        oom_score_adj: -1000 to 1000: how early the kernel chooses it when memory is short.
        new_session: setsid(2).
        process_group: the process group to join, 0: one of its own.
        controlling_tty: True: the child's stdin, or the terminal given, becomes the controlling terminal of a
            new session.
        no_new_privs: no set-user-id program gives it privileges.
        die_with_parent: True: SIGKILL when this *process* ends, whichever thread spawned it; or the signal.
            A program that changes its ids or is set-user-id undoes it.
        cgroup: a cgroup v2 directory (path or descriptor) to be born in; `kill_tree` then kills all in it.
        signal_mask: the signals blocked in it, in place of those that the calling thread blocks.
        restore_signals: SIGPIPE and SIGXFSZ, which Python ignores, get their default action back.
        executable: the file to execute, in place of args[0], which is then but a name.

    Returns:
        The process, which is running its program: what fails before that, or in exec, is raised here.

    Raises:
        SpawnError: an OSError (FileNotFoundError, PermissionError, ...) whose `step` says what failed. Nothing is left.
        TypeError, ValueError: something that no process could be started with.
        NotImplementedError: an option that this platform or backend does not have; the message names it.

    See clone(2), execve(2), and docs/spawn.md for the order of the steps.
    """
    more: dict[str, Any] | None = None
    if (
        not (
            fds is None
            and cwd is None
            and user is None
            and group is None
            and groups is None
            and umask is None
            and rlimits is None
            and nice is None
            and affinity is None
            and oom_score_adj is None
            and process_group is None
            and cgroup is None
            and signal_mask is None
            and restore_signals
        )
        or new_session
        or controlling_tty is not False
        or no_new_privs
        or die_with_parent
    ):
        more = {
            "fds": fds,
            "cwd": cwd,
            "user": user,
            "group": group,
            "groups": groups,
            "umask": umask,
            "rlimits": rlimits,
            "nice": nice,
            "affinity": affinity,
            "oom_score_adj": oom_score_adj,
            "new_session": new_session,
            "process_group": process_group,
            "controlling_tty": controlling_tty,
            "no_new_privs": no_new_privs,
            "die_with_parent": die_with_parent,
            "cgroup": cgroup,
            "signal_mask": signal_mask,
            "restore_signals": restore_signals,
        }
    sys.audit("fastos.spawn", args, cwd, env)
    return Process(backend.prepare(args, env, executable, (stdin, stdout, stderr), more), args)


def prepare(
    args: options.Arguments,
    *,
    env: options.Environment | None = None,
    executable: options.Argument | None = None,
    stdin: options.Stream = None,
    stdout: options.Stream = None,
    stderr: options.Stream = None,
    **more: Any,
) -> "backend.Request":
    """The same options as `spawn`, encoded once to be started many times: `Process(request, args)`.

    Two options only here, for the drop-ins: keep_descriptors (as close_fds=False), keep_groups (user= changes the user
    alone). What the streams name is looked at again at each start, so it must be open then.
    """
    return backend.prepare(args, env, executable, (stdin, stdout, stderr), more or None)


def reap_abandoned() -> None:
    """Takes the status of each abandoned child that has ended meanwhile."""
    with _abandoned_lock:
        for child in _abandoned[:]:
            if child.wait(0) > 0:
                child.close()
                _abandoned.remove(child)


def _after_fork() -> None:
    """A forked process has no such children; the descriptors are its own copies."""
    global _abandoned_lock
    _abandoned_lock = threading.Lock()
    while _abandoned:
        _abandoned.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Process:
    """A process that `spawn` started. Its methods may be called from any thread.

    As a context manager it closes the streams and waits on the way out. A Process that is dropped without being waited
    for warns (ResourceWarning); its child runs on, and is reaped at a later spawn.

    Attributes:
        args: as given to spawn.
        pid: the process id. It is nobody else's until the status was taken.
    """

    def __init__(self, request: "backend.Request", args: Any) -> None:
        self.args = args
        self.pid = 0
        self._status: ExitStatus | None = None
        self._taking = threading.RLock()  # held by the thread that takes the status; reentrant for signal handlers
        self._guard = threading.RLock()  # held for a moment: the pidfd does not close while somebody uses it
        self._watchers = 0
        self._files: dict[int, Any] = {}
        self._parent = os.getpid()
        self._request = request
        # The child is in place before it is started: an exception from a signal handler cannot lose it.
        self._child = child = backend.Child()
        if _abandoned:
            reap_abandoned()
        child.start(request)
        self.pid = child.pid

    # -- what it is

    @property
    def pidfd(self) -> int | None:
        """A descriptor for the process (pidfd_open(2)), readable once it has ended.

        It belongs to this object, and is None once the status was taken, and where the platform has none.
        """
        fd = self._child.pidfd
        return fd if fd >= 0 else None

    def fileno(self) -> int:
        """The pidfd, for select and event loops. ValueError if there is none, or none any more."""
        fd = self._child.pidfd
        if fd < 0:
            raise ValueError(f"process {self.pid} has no pidfd{' any more' if self._status else ''}")
        return fd

    @property
    def stdin(self) -> io.BufferedWriter | None:
        """The binary file that the child reads, if stdin=PIPE, else None."""
        return self._stream(0)  # type: ignore[no-any-return]

    @property
    def stdout(self) -> io.BufferedReader | None:
        """The binary file that the child writes, if stdout=PIPE, else None. `.raw` is unbuffered."""
        return self._stream(1)  # type: ignore[no-any-return]

    @property
    def stderr(self) -> io.BufferedReader | None:
        """As stdout, for stderr=PIPE."""
        return self._stream(2)  # type: ignore[no-any-return]

    @property
    def pty(self) -> PtyFile | None:
        """This side of the pseudo-terminal, if a stream is PTY: an unbuffered binary file with resize()."""
        return self._stream(3)  # type: ignore[no-any-return]

    def _stream(self, number: int) -> Any:
        """The file of a stream, made when it is first asked for."""
        if number not in self._files:
            with self._guard:
                if number not in self._files:
                    self._files[number] = self._open_stream(number)
        return self._files[number]

    def _open_stream(self, number: int) -> Any:
        fd = self._child.take_pty() if number == 3 else self._child.take_pipe(number)
        if not isinstance(fd, int):  # the standard-library backend has files already
            return fd
        if fd < 0:
            return None
        if number == 3:
            return PtyFile(fd)
        if number == 0:
            return io.BufferedWriter(io.FileIO(fd, "w"))
        return io.BufferedReader(io.FileIO(fd, "r"))

    def resize(self, rows: int, columns: int) -> None:
        """Gives the pseudo-terminal another window size. ValueError if there is none."""
        if self.pty is None:
            raise ValueError(f"process {self.pid} has no pseudo-terminal")
        self.pty.resize(rows, columns)

    def __repr__(self) -> str:
        return f"<Process {self.pid} {self.args!r}: {self._status or 'running'}>"

    # -- waiting

    def _check_parent(self) -> None:
        if self._parent != os.getpid():
            raise ChildProcessError(
                f"process {self.pid} is a child of process {self._parent}; this is a forked copy of that"
            )

    def _ended(self) -> ExitStatus:
        """Keeps the status; the pidfd closes when the last watcher is gone."""
        if self._status is None:
            with self._guard:
                self._status = self._child.status()
                if self._watchers == 0:
                    self._child.close_pidfd()
        return self._status

    def poll(self) -> ExitStatus | None:
        """The status if the process has ended, else None. Does not wait."""
        if self._status is not None:
            return self._status
        self._check_parent()
        if not self._taking.acquire(blocking=False):
            # Another thread is taking it. If the process has ended that thread is done in a moment.
            if self._watch(0) <= 0:
                return self._status
            self._taking.acquire()
        try:
            return self._ended() if self._child.wait(0) > 0 else None
        finally:
            self._taking.release()

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Waits for the process to end.

        Args:
            timeout: seconds; None waits for ever. Never cut short; measured on the monotonic clock.

        Raises:
            TimeoutError: it still runs.
            ChildProcessError: this is a forked copy of the process that spawned it.

        See waitid(2).
        """
        if self._status is not None:
            return self._status
        self._check_parent()
        deadline = None if timeout is None else time.monotonic_ns() + max(0, math.ceil(timeout * 1e9))
        while True:
            left = -1 if deadline is None else max(0, deadline - time.monotonic_ns())
            if self._take(left) > 0 or self._status is not None:
                return self._ended()
            if deadline is not None and time.monotonic_ns() >= deadline:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} s")

    def _take(self, timeout_ns: int) -> int:
        """Takes the status, or waits for the thread that does. As Child.wait."""
        if not self._taking.acquire(blocking=False):
            if self._child.pidfd < 0:
                if self._taking.acquire(timeout=timeout_ns / 1e9 if timeout_ns >= 0 else -1):
                    self._taking.release()
                return 0
            if self._watch(timeout_ns) <= 0:
                return 0
            self._taking.acquire()
            timeout_ns = 0
        try:
            return self._child.wait(timeout_ns)
        finally:
            self._taking.release()

    def _watch(self, timeout_ns: int) -> int:
        """Waits for the end without taking the status. As Child.readable."""
        with self._guard:
            if self._status is not None or self._child.pidfd < 0:
                return 0
            self._watchers += 1
        try:
            return self._child.readable(timeout_ns)
        finally:
            with self._guard:
                self._watchers -= 1
                if self._watchers == 0 and self._status is not None:
                    self._child.close_pidfd()

    # -- signals

    def send_signal(self, number: int) -> bool:
        """Sends a signal, through the pidfd: it cannot reach another process.

        Returns:
            False if the process has ended.

        Raises:
            PermissionError: it runs as another user.
        """
        self._check_parent()
        if self._child.pidfd < 0:  # by pid, which is its own until the status is taken: see that it still is
            self.poll()
        with self._guard:
            return self._status is None and self._child.send_signal(number)

    def kill(self) -> bool:
        """SIGKILL. As send_signal."""
        return self.send_signal(signal.SIGKILL)

    def terminate(self, grace: float = 5.0) -> ExitStatus:
        """Ends the process: SIGTERM and SIGCONT (a stopped process would not hear), after `grace` seconds SIGKILL.

        Waits for the end. Its descendants are left alone; see kill_tree.
        """
        if self.send_signal(signal.SIGTERM):
            self.send_signal(signal.SIGCONT)
        try:
            return self.wait(grace)
        except TimeoutError:
            self.kill()
            return self.wait()

    def kill_tree(self, grace: float = 0.0, timeout: float = 5.0) -> list[int]:
        """Kills the process and all that descend from it, and reaps it.

        With a cgroup: everything in that cgroup and below it, which is complete. Without: the descendants are stopped
        and found by repeated walks, while this process adopts those whose parents die (PR_SET_CHILD_SUBREAPER, put back
        afterwards). A descendant whose parent had ended before, and which left the session that new_session= made,
        cannot be found.

        Args:
            grace: seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
            timeout: seconds to wait for the killed to be gone.

        Returns:
            The pids that are still there: empty if the kill was complete.

        Raises:
            NotImplementedError: not on Linux, or without the compiled core.
        """
        from fastos import _kill_tree

        self._check_parent()
        return _kill_tree.kill_tree(self, grace, timeout)

    # -- end

    def close(self) -> None:
        """Closes the streams. Does not wait."""
        for number in range(4):
            file = self._stream(number)
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BrokenPipeError:
            pass  # what was still to be written to a child that does not read any more
        finally:
            self.wait()

    def __del__(self) -> None:
        child = getattr(self, "_child", None)
        if child is None or child.pid == 0 or self._status is not None:
            if child is not None:
                child.close()
            return
        if self._parent != os.getpid():
            child.close()
            return
        if child.wait(0) <= 0:
            warnings.warn(f"process {child.pid} {self.args!r} was not waited for", ResourceWarning, 2, self)
            with _abandoned_lock:
                _abandoned.append(child)
            return
        child.close()


__all__ = ["DEVNULL", "PIPE", "PTY", "STDOUT", "Process", "prepare", "spawn"]
