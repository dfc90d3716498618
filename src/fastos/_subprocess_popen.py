"""The drop-in Popen: the standard class, its children started, fed and waited for by the core."""

import errno
import os
import subprocess as standard
import sys
import time
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos._errors import SpawnError
from fastos._timeout import nanoseconds

if TYPE_CHECKING:
    from fastos._backend import native_communicate as communicating
    from fastos._backend import native_spawn as spawning
else:
    communicating = _backend.topic("communicate")
    spawning = _backend.topic("spawn")

_HIGHEST_ID = 2**32 - 1
_SHELL = "/system/bin/sh" if hasattr(sys, "getandroidapilevel") else "/bin/sh"


class Popen(standard.Popen):  # type: ignore[type-arg]
    """subprocess.Popen on fastos.spawn: the same arguments, attributes and methods, and two more attributes.

    A `preexec_fn` is Python code to be run in the child between fork and exec, which the core does not do: such a call
    takes the interpreter's own path, and has no pidfd.
    """

    _child: "spawning.Child | None" = None  # None: the interpreter itself started it
    _talk: "communicating.Communication | None" = None

    # -- what is new

    @property
    def pidfd(self) -> int | None:
        """A descriptor for the process (pidfd_open(2)), readable once it has ended; this object's own.

        None after the status was taken, and for a process that the interpreter itself started.
        """
        pidfd = -1 if self._child is None else self._child.pidfd
        return pidfd if pidfd >= 0 else None

    @property
    def rusage(self) -> Any:
        """What the process used, as resource.struct_rusage; None until it was waited for, or if that is not known."""
        return None if self._child is None or self.returncode is None else self._child.status().rusage

    # -- starting

    def _execute_child(  # type: ignore[no-untyped-def]  # the standard method's parameters, in its order
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, process_group,
    ) -> None:  # fmt: skip
        if preexec_fn is not None:
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
                p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
                start_new_session, process_group,
            )  # fmt: skip
            return
        if max(uid or 0, gid or 0) > _HIGHEST_ID:
            raise OverflowError(f"there is no id above {_HIGHEST_ID}")
        args = argument_list(args, executable, shell)
        said = executable
        if executable is None:
            executable = args[0]
        sys.audit("subprocess.Popen", executable, args, cwd, env)
        streams = (_stream(p2cread), _stream(c2pwrite), _stream(errwrite))
        plain = close_fds and restore_signals and not pass_fds and not start_new_session and cwd is None
        more = None
        if not (plain and uid is None and gid is None and gids is None and umask < 0 and process_group < 0):
            more = {
                "cwd": cwd,
                "fds": pass_fds or None,
                "keep_descriptors": not close_fds,
                "user": uid,
                "group": gid,
                "groups": gids,
                "keep_groups": True,
                "umask": None if umask < 0 else umask,
                "new_session": start_new_session,
                "process_group": None if process_group < 0 else process_group,
                "restore_signals": bool(restore_signals),
            }
        self._start(spawning.prepare(args, env, said, streams, more), executable, cwd)
        if streams != (None, None, None):
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _start(self, request: Any, executable: Any, cwd: Any) -> None:
        # In place before it is started: an exception from a signal handler cannot lose it.
        child = self._child = spawning.Child()
        try:
            child.start(request)
        except SpawnError as error:
            raise standard_error(error, executable, cwd) from None
        finally:
            self.pid = child.started()
            self._child_created = self.pid != 0

    # -- waiting

    def _internal_poll(self, _deadstate: int | None = None, **options: Any) -> int | None:
        child = self._child
        if child is None:
            return super()._internal_poll(_deadstate=_deadstate, **options)  # type: ignore[misc,no-any-return]
        if self.returncode is None:
            try:
                ended = child.wait(0) > 0
            except ChildProcessError:  # a forked copy asks for its parent's child
                self.returncode = _deadstate or 0
                return self.returncode
            if ended and self.returncode is None:
                self.returncode = child.returncode()
        return self.returncode

    def _wait(self, timeout: float | None) -> int | None:
        child = self._child
        if child is None:
            return super()._wait(timeout=timeout)  # type: ignore[misc,no-any-return]
        if self.returncode is None:
            try:
                self._await(child, timeout)
                self.returncode = child.returncode()
            except ChildProcessError:  # a forked copy: the child is not ours
                self.returncode = 0
        return self.returncode

    def _await(self, child: "spawning.Child", timeout: float | None) -> None:
        """Until the status is taken; TimeoutExpired. A wait that a signal ended goes on once its handler has run."""
        if timeout is None:
            while child.wait(-1) <= 0:
                pass
            return
        deadline = time.monotonic_ns() + nanoseconds(timeout)
        while child.wait(max(0, deadline - time.monotonic_ns())) <= 0:
            if time.monotonic_ns() >= deadline:
                raise standard.TimeoutExpired(self.args, timeout)

    def send_signal(self, sig: int) -> None:
        """Sends a signal to the process, through its pidfd; does nothing if it has ended."""
        if self._child is None:
            super().send_signal(sig)
            return
        self.poll()
        if self.returncode is None:
            self._child.send_signal(sig)

    # -- talking

    def _communicate(self, input: Any, endtime: float | None, orig_timeout: float | None) -> Any:
        talk = self._talk
        if talk is None:
            talk = self._talk = self._begin(input)
        while not talk.step(-1 if endtime is None else nanoseconds(endtime - time.monotonic())):
            if talk.fed:
                _close(self.stdin)
            if endtime is not None and time.monotonic() >= endtime:
                self._expire(talk, orig_timeout)
        for file in (self.stdout, self.stderr):
            if file is not None:
                file.close()
        self.wait(timeout=self._remaining_time(endtime))  # type: ignore[attr-defined]
        return self._collected(talk, 0, self.stdout), self._collected(talk, 1, self.stderr)

    def _begin(self, input: Any) -> "communicating.Communication":
        data: Any = b""
        if self.stdin is not None and input:
            try:
                self.stdin.flush()
            except BrokenPipeError:
                pass
            data = input.encode(self.stdin.encoding, self.stdin.errors) if self.text_mode else input  # type: ignore[attr-defined]
        elif self.stdin is not None:
            _close(self.stdin)
        return communicating.Communication(_number(self.stdin), _number(self.stdout), _number(self.stderr), data)

    def _expire(self, talk: "communicating.Communication", timeout: float | None) -> None:
        output = talk.output(0) if self.stdout is not None else b""
        errors = talk.output(1) if self.stderr is not None else b""
        raise standard.TimeoutExpired(self.args, timeout, output=output or None, stderr=errors or None)  # type: ignore[arg-type]

    def _collected(self, talk: "communicating.Communication", stream: int, file: Any) -> Any:
        if file is None:
            return None
        data = talk.output(stream)
        return self._translate_newlines(data, file.encoding, file.errors) if self.text_mode else data  # type: ignore[attr-defined]


def standard_error(error: SpawnError, executable: Any, cwd: Any) -> OSError:
    """As the standard class raises it: the plain message, the program's or the directory's name."""
    number = error.errno or errno.EIO
    if not executable:  # the standard class then tries the directories of PATH themselves
        number = errno.EACCES
    return OSError(number, os.strerror(number), {"exec": executable, "chdir": cwd}.get(error.step))


def _close(file: Any) -> None:
    try:
        file.close()
    except BrokenPipeError:
        pass  # the child reads no more; communicate() does not mind


def _stream(fd: int) -> int | None:
    """A stream's descriptor, None if the child inherits it."""
    if fd < -1:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return None if fd < 0 else fd


def _number(file: Any) -> int:
    """The descriptor of a pipe's file, -1 if there is none or it is closed."""
    return -1 if file is None or file.closed else int(file.fileno())


def argument_list(args: Any, executable: Any, shell: bool) -> list[Any]:
    """argv as the standard class makes it."""
    if shell and isinstance(args, os.PathLike):
        raise TypeError("path-like args is not allowed when shell is true")
    # The usual kind first: to ask os.PathLike takes long.
    listed = [args] if type(args) is not list and isinstance(args, str | bytes | os.PathLike) else list(args)
    return [executable or _SHELL, "-c", *listed] if shell else listed


__all__ = ["Popen", "argument_list", "standard_error"]
