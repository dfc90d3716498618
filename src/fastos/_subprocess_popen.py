"""The drop-in Popen: the standard class, its children started, fed and waited for by the core."""

import errno
import os
import subprocess as standard
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos._errors import SpawnError
from fastos._spawn_options import UNUSUAL
from fastos._timeout import nanoseconds

if TYPE_CHECKING:
    from fastos._backend import native_communicate as communicating
    from fastos._backend import native_spawn as spawning
else:
    communicating = _backend.topic("communicate")
    spawning = _backend.topic("spawn")

_MOST_GROUPS = 65536
_PARENT_STEPS = ("prepare", "open", "fork")
# Earlier versions blame the directory for whatever fails in the child before the exec.
_NAMES_CHDIR_ALONE = sys.version_info >= (3, 13)
_SHELL = "/system/bin/sh" if hasattr(sys, "getandroidapilevel") else "/bin/sh"


class _Added:
    """A property that an attribute of the same name hides, since a subclass or a caller may have one of its own."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self.read, self.__doc__ = read, read.__doc__

    def __get__(self, process: Any, owner: type | None = None) -> Any:
        return self if process is None else self.read(process)


class Popen(standard.Popen):  # type: ignore[type-arg]
    """subprocess.Popen on fastos.spawn: the same arguments, attributes and methods, and two more attributes.

    A `preexec_fn` is Python code to be run in the child between fork and exec, which the core does not do: such a call
    takes the interpreter's own path, and has no pidfd. So does one whose arguments are not as usual: the standard class
    knows what becomes of it.
    """

    # Names that no subclass has. None: the interpreter itself started it.
    _fastos_child: "spawning.Child | None" = None
    _fastos_talk: "communicating.Communication | None" = None

    # -- what is new

    @_Added
    def pidfd(self) -> int | None:
        """A descriptor for the process (pidfd_open(2)), readable once it has ended; this object's own.

        None after the status was taken, and for a process that the interpreter itself started.
        """
        pidfd = -1 if self._fastos_child is None else self._fastos_child.pidfd
        return pidfd if pidfd >= 0 else None

    @_Added
    def rusage(self) -> Any:
        """What the process used, as resource.struct_rusage; None until it was waited for, or if that is not known."""
        child = self._fastos_child
        return None if child is None or self.returncode is None else child.status().rusage

    # -- starting

    def _execute_child(  # type: ignore[no-untyped-def]  # the standard method's parameters, in its order
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
        start_new_session, process_group,
    ) -> None:  # fmt: skip
        if type(args) is not list and not isinstance(args, str | bytes | os.PathLike):
            args = list(args)
        request = None
        if preexec_fn is None:
            argv = argument_list(args, executable, shell)
            plain = close_fds and restore_signals is True and start_new_session is False and not pass_fds
            try:
                more = None
                if not (plain and cwd is gid is gids is uid is None and umask == -1 and process_group == -1):
                    more = _options(
                        close_fds, pass_fds, cwd, restore_signals, gid, gids, uid, umask, start_new_session,
                        process_group,
                    )  # fmt: skip
                streams = (_stream(p2cread), _stream(c2pwrite), _stream(errwrite))
                request = spawning.prepare(argv, env, executable, streams, more)
            except UNUSUAL:
                pass  # the standard class has the word then
        if request is None:
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
                p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, restore_signals, gid, gids, uid, umask,
                start_new_session, process_group,
            )  # fmt: skip
            return
        if executable is None:
            executable = argv[0]
        sys.audit("subprocess.Popen", executable, argv, cwd, env)
        _start(self, request, executable, cwd)
        if streams != (None, None, None):
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    # -- waiting

    def _internal_poll(self, _deadstate: int | None = None, **options: Any) -> int | None:
        child = self._fastos_child
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
        child = self._fastos_child
        if child is None:
            return super()._wait(timeout=timeout)  # type: ignore[misc,no-any-return]
        if self.returncode is None:
            try:
                _await(self.args, child, timeout)
                self.returncode = child.returncode()
            except ChildProcessError:  # a forked copy: the child is not ours
                self.returncode = 0
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Sends a signal to the process, through its pidfd; does nothing if it has ended."""
        if self._fastos_child is None:
            super().send_signal(sig)
            return
        self.poll()
        if self.returncode is None:
            self._fastos_child.send_signal(sig)

    # -- talking

    def _communicate(self, input: Any, endtime: float | None, orig_timeout: float | None) -> Any:
        talk = self._fastos_talk
        if talk is None:
            talk = self._fastos_talk = _begin(self, input)
        while not talk.step(-1 if endtime is None else nanoseconds(endtime - time.monotonic())):
            if talk.fed:
                _close(self.stdin)
            if endtime is not None and time.monotonic() >= endtime:
                _expire(self, talk, orig_timeout)
        for file in (self.stdout, self.stderr):
            if file is not None:
                file.close()
        self.wait(timeout=self._remaining_time(endtime))  # type: ignore[attr-defined]
        return _collected(self, talk, 0, self.stdout), _collected(self, talk, 1, self.stderr)


def _options(  # type: ignore[no-untyped-def]
    close_fds, pass_fds, cwd, restore_signals, gid, gids, uid, umask, start_new_session, process_group
) -> dict[str, Any]:  # fmt: skip
    """The further options for the core. Raises one of UNUSUAL for what the standard class alone takes or refuses."""
    numbers = (restore_signals, start_new_session, umask, process_group, *pass_fds)
    if not all(isinstance(number, int) for number in numbers) or not isinstance(cwd, str | bytes | os.PathLike | None):
        raise TypeError
    if gids is not None and len(gids) > _MOST_GROUPS:
        raise ValueError
    return {
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


def _start(process: Popen, request: Any, executable: Any, cwd: Any) -> None:
    # In place before it is started: an exception from a signal handler cannot lose it.
    child = process._fastos_child = spawning.Child()
    try:
        child.start(request)
    except SpawnError as error:
        raise standard_error(error, executable, cwd) from None
    finally:
        process.pid = child.started()
        process._child_created = process.pid != 0  # type: ignore[attr-defined]


def _await(args: Any, child: "spawning.Child", timeout: float | None) -> None:
    """Until the status is taken; TimeoutExpired. A wait that a signal ended goes on once its handler has run."""
    if timeout is None:
        while child.wait(-1) <= 0:
            pass
        return
    deadline = time.monotonic_ns() + nanoseconds(timeout)
    while child.wait(max(0, deadline - time.monotonic_ns())) <= 0:
        if time.monotonic_ns() >= deadline:
            raise standard.TimeoutExpired(args, timeout)


def _begin(process: Any, input: Any) -> "communicating.Communication":
    data: Any = b""
    stdin = process.stdin
    if stdin is not None and input:
        try:
            stdin.flush()
        except BrokenPipeError:
            pass
        data = input.encode(stdin.encoding, stdin.errors) if process.text_mode else memoryview(input)
    elif stdin is not None:
        _close(stdin)
    return communicating.Communication(_number(stdin), _number(process.stdout), _number(process.stderr), data)


def _expire(process: Popen, talk: "communicating.Communication", timeout: float | None) -> None:
    output = talk.output(0) if process.stdout is not None else b""
    errors = talk.output(1) if process.stderr is not None else b""
    raise standard.TimeoutExpired(process.args, timeout, output=output or None, stderr=errors or None)  # type: ignore[arg-type]


def _collected(process: Any, talk: "communicating.Communication", stream: int, file: Any) -> Any:
    if file is None:
        return None
    data = talk.output(stream)
    return process._translate_newlines(data, file.encoding, file.errors) if process.text_mode else data


def standard_error(error: SpawnError, executable: Any, cwd: Any) -> OSError:
    """As the standard class raises it: the plain message, the program's or the directory's name."""
    number = error.errno or errno.EIO
    if error.step == "exec":
        if not executable:  # the standard class then tries the directories of PATH themselves
            number = errno.EACCES
        return OSError(number, os.strerror(number), executable)
    message = os.strerror(number)
    if error.step in _PARENT_STEPS or (_NAMES_CHDIR_ALONE and error.step != "chdir"):
        return OSError(number, message)
    return OSError(number, message, cwd)


def _close(file: Any) -> None:
    try:
        file.close()
    except BrokenPipeError:
        pass  # the child reads no more; communicate() does not mind


def _stream(fd: int) -> int | None:
    """A stream's descriptor, None if the child inherits it."""
    if fd == -1:
        return None
    if type(fd) is not int or fd < 0:
        raise ValueError
    return fd


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


__all__ = ["UNUSUAL", "Popen", "argument_list", "standard_error"]
