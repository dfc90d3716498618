"""Spawning and waiting with the standard library: what `subprocess` can do, and a clear refusal of the rest."""

import errno
import math
import os
import subprocess
import threading
import time
from typing import IO, Any, Final

from fastos import _spawn_options as options
from fastos._errors import SpawnError, spawn_error
from fastos._exit_status import ExitStatus
from fastos._pty import PTY

_DEFAULTS: Final = {"new_session": False, "controlling_tty": False, "no_new_privs": False, "die_with_parent": False}
_UNSUPPORTED: Final = (
    "rlimits",
    "nice",
    "affinity",
    "oom_score_adj",
    "controlling_tty",
    "no_new_privs",
    "die_with_parent",
    "cgroup",
    "signal_mask",
)
_POSIX_ONLY: Final = ("user", "group", "groups", "umask", "new_session", "process_group", "fds")


def _refuse(option: str) -> NotImplementedError:
    return NotImplementedError(f"{option}: the standard-library backend cannot do this; it needs the compiled core")


class Request:
    """The arguments of subprocess.Popen."""

    __slots__ = ("args", "cgroup", "cwd", "keywords", "new_session", "program")

    args: Any
    cgroup: None
    cwd: Any
    keywords: dict[str, Any]
    new_session: bool
    program: Any


def prepare(args: options.Arguments, env: Any, executable: Any, streams: tuple[Any, Any, Any], more: Any) -> Request:
    """The request for args. `more`: the further options that were given, by name, or None."""
    options.encode_arguments(args)
    made = Request()
    made.args = list(args)
    made.program = args[0] if executable is None else executable
    made.cwd = made.cgroup = None
    made.new_session = False
    for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
        if stream is PTY or isinstance(stream, PTY):
            raise _refuse("PTY")
        if name != "stderr" and stream == options.STDOUT:
            raise ValueError(f"{name}: STDOUT is for stderr")
        if isinstance(stream, int) and stream < options.DEVNULL:
            raise ValueError(f"{name}: {stream!r} is neither a descriptor nor PIPE, DEVNULL, ...")
    made.keywords = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True), env=env, executable=executable)
    if more is not None:
        _set_options(made, more)
    return made


def _set_options(made: Request, more: dict[str, Any]) -> None:
    given = {name: value for name, value in more.items() if value is not None and value != _DEFAULTS.get(name)}
    for name in given:
        if name in _UNSUPPORTED or (name in _POSIX_ONLY and os.name != "posix"):
            raise _refuse(name)
    keywords = made.keywords
    made.cwd = keywords["cwd"] = given.get("cwd")
    if isinstance(made.cwd, int):
        raise _refuse("cwd as a descriptor")
    if (umask := given.get("umask")) is not None:
        if not 0 <= umask <= 0o7777:
            raise ValueError(f"umask: {umask:#o} is not one")
        keywords["umask"] = umask
    if "restore_signals" in given and os.name == "posix":
        keywords["restore_signals"] = given["restore_signals"]
    if "new_session" in given:
        keywords["start_new_session"] = made.new_session = True
    if (group := given.get("process_group")) is not None:
        if group < 0:
            raise ValueError("process_group must not be negative")
        keywords["process_group"] = group
    keywords["close_fds"] = not given.get("keep_descriptors", False)
    _set_descriptors(made, given)
    _set_owner(made, given)


def _set_descriptors(made: Request, given: dict[str, Any]) -> None:
    if "fds" not in given:
        return
    taken = {n for n, name in enumerate(("stdin", "stdout", "stderr")) if made.keywords[name] is not None}
    pairs = options.descriptors(given["fds"], taken)
    if any(source != target for source, target in pairs):
        raise _refuse("fds that change their number")
    made.keywords["pass_fds"] = [source for source, _ in pairs]


def _set_owner(made: Request, given: dict[str, Any]) -> None:
    if not {"user", "group", "groups"} & given.keys():
        return
    if given.get("keep_groups"):
        uid, gid, groups = given.get("user"), given.get("group"), given.get("groups")
    else:
        uid, gid, groups = options.owner(given.get("user"), given.get("group"), given.get("groups"))
    if uid not in (None, -1):
        made.keywords["user"] = uid
    if gid not in (None, -1):
        made.keywords["group"] = gid
    if groups is not None:
        made.keywords["extra_groups"] = groups


def _failure(request: Request, error: OSError) -> SpawnError:
    """subprocess names the directory if chdir failed, and else says nothing of the step."""
    step = "chdir" if request.cwd is not None and error.filename == request.cwd else "exec"
    filename = request.cwd if step == "chdir" else request.program
    if isinstance(error, PermissionError) and error.filename is None:
        step, filename = "setresuid", None
    return spawn_error(step, error.errno or 0, filename)


class _Popen(subprocess.Popen[bytes]):
    """Without the finalizer: Process has one."""

    def __del__(self) -> None:
        pass


class Child:
    """A started process as subprocess holds it."""

    __slots__ = ("_popen", "_status", "_taking", "parent")

    def __init__(self) -> None:
        self._taking = threading.RLock()  # held by the thread that takes the status; reentrant for signal handlers
        self.parent = os.getpid()
        self._popen: subprocess.Popen[bytes] | None = None
        self._status: ExitStatus | None = None

    def start(self, request: Request) -> None:
        if not request.program:
            raise spawn_error("exec", errno.ENOENT, request.program)
        try:
            self._popen = _Popen(request.args, bufsize=-1, **request.keywords)
        except OSError as error:
            raise _failure(request, error) from None

    @property
    def pid(self) -> int:
        return 0 if self._popen is None else self._popen.pid

    @property
    def pidfd(self) -> int:
        return -1

    def started(self) -> int:
        return self.pid

    def take_pipe(self, stream: int) -> "IO[bytes] | None":
        popen = self._popen
        return None if popen is None else (popen.stdin, popen.stdout, popen.stderr)[stream]

    def take_pty(self) -> None:
        return None

    def wait(self, timeout_ns: int) -> int:
        """1: status() holds; 0: the time ran out. Negative timeout: for ever.

        ChildProcessError: this is a forked copy of the parent.
        """
        if self._status is None:
            if self.parent != os.getpid():
                raise ChildProcessError(errno.ECHILD, "a forked copy of the parent cannot wait for it")
            begin = time.monotonic_ns()
            if not self._taking.acquire(timeout=-1 if timeout_ns < 0 else timeout_ns / 1e9):
                return 0
            try:
                left = timeout_ns if timeout_ns <= 0 else max(0, timeout_ns - (time.monotonic_ns() - begin))
                status = None if self._status else _wait(self._popen, left)  # type: ignore[arg-type]
                self._status = self._status or status  # a signal handler may have taken it meanwhile
            finally:
                self._taking.release()
        return int(self._status is not None)

    def status(self) -> ExitStatus:
        return self._status or ExitStatus(lost=True)

    def send_signal(self, number: int) -> bool:
        self._popen.send_signal(number)  # type: ignore[union-attr]
        return True

    def close(self) -> None:
        for stream in range(3):
            file = self.take_pipe(stream)
            if file is not None:
                file.close()


def _wait(popen: "subprocess.Popen[bytes]", timeout_ns: int) -> ExitStatus | None:
    if not hasattr(os, "wait4"):
        try:
            return ExitStatus(popen.wait(None if timeout_ns < 0 else timeout_ns / 1e9))
        except subprocess.TimeoutExpired:
            return None
    deadline = time.monotonic_ns() + timeout_ns
    pause = 0.0001
    while True:
        try:
            pid, status, usage = os.wait4(popen.pid, 0 if timeout_ns < 0 else os.WNOHANG)
        except ChildProcessError:
            popen.returncode = 0  # so that subprocess does not look for it
            return ExitStatus(lost=True)
        if pid:
            popen.returncode = os.waitstatus_to_exitcode(status)
            return _status(status, tuple(usage))
        left = deadline - time.monotonic_ns()
        if left <= 0:
            return None
        time.sleep(min(pause, math.ceil(left) / 1e9))
        pause = min(pause * 2, 0.05)


def _status(status: int, usage: tuple[float, ...]) -> ExitStatus:
    if os.WIFSIGNALED(status):
        return ExitStatus(None, os.WTERMSIG(status), os.WCOREDUMP(status), False, usage)
    return ExitStatus(os.WEXITSTATUS(status), None, False, False, usage)
