"""Holding a process that was started: `Process`."""

import contextlib
import io
import os
import signal
import threading
import time
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fastos import _backend
from fastos._exit_status import ExitStatus
from fastos._pty import PtyFile
from fastos._timeout import nanoseconds

if TYPE_CHECKING:
    from fastos._backend import native_spawn as backend
else:
    backend = _backend.topic("spawn")

# Held for a moment, by whoever makes a stream's file or looks at the abandoned. Reentrant for signal handlers.
_guard = threading.RLock()

# Children whose Process is gone while they run: asked for their status at each later spawn, so none stays a zombie
# for ever. Belongs to the process that made it.
_abandoned: list["backend.Child"] = []


def reap_abandoned() -> None:
    """Takes the status of each abandoned child that has ended meanwhile."""
    with _guard:
        for child in _abandoned[:]:
            if child.wait(0) > 0:
                child.close()
                with contextlib.suppress(ValueError):  # a signal handler has spawned meanwhile, and was here first
                    _abandoned.remove(child)


def _after_fork() -> None:
    """A forked process has no such children; the descriptors are its own copies."""
    global _guard
    _guard = threading.RLock()
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

    pid: int = 0
    _status: ExitStatus | None = None
    _files: dict[int, Any] | None = None

    def __init__(self, request: "backend.Request", args: Any) -> None:
        self.args = args
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
        files = self._files
        if files is None or number not in files:
            with _guard:
                files = self._files = self._files or {}
                if number not in files:
                    files[number] = self._open_stream(number)
        return files[number]

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
        parent = self._child.parent
        if parent != os.getpid():
            raise ChildProcessError(f"process {self.pid} is a child of process {parent}; this is a forked copy of that")

    def _wait(self, timeout_ns: int) -> int:
        """As Child.wait."""
        try:
            return self._child.wait(timeout_ns)
        except ChildProcessError:
            self._check_parent()
            raise

    def _ended(self) -> ExitStatus:
        """Keeps the status."""
        status = self._status
        if status is None:
            status = self._child.status()
            if status.lost:
                self._check_parent()
            self._status = status
        return status

    def poll(self) -> ExitStatus | None:
        """The status if the process has ended, else None. Does not wait."""
        if self._status is not None:
            return self._status
        return self._ended() if self._wait(0) > 0 else None

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
        if timeout is None:
            while self._wait(-1) <= 0:  # a signal came, and its handler has run
                pass
            return self._ended()
        deadline = time.monotonic_ns() + nanoseconds(timeout)
        while self._wait(max(0, deadline - time.monotonic_ns())) <= 0:
            if time.monotonic_ns() >= deadline:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        return self._ended()

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
        if child is None:
            return
        if self._status is None and child.started() and child.parent == os.getpid() and child.wait(0) <= 0:
            with _guard:
                _abandoned.append(child)
            for number in range(4):
                if number not in (self._files or ()) and (file := self._stream(number)) is not None:
                    file.close()  # nobody has it, and the child may be waiting for its end
            warnings.warn(f"process {child.pid} {self.args!r} was not waited for", ResourceWarning, 2, self)
            return
        child.close()


__all__ = ["Process", "reap_abandoned"]
