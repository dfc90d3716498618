"""The eight spawn functions of `os`, and children with pipes for the popen family, on the core's `fo_spawn`.

No Python runs in the child and nothing of the parent is copied for it, so `os.register_at_fork` hooks do not run, and
the cost does not grow with the parent.
"""

import os
from collections.abc import Sequence
from sys import audit
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_execute import candidates, encode_arguments, encode_environment
from fastos._backend.native_path import StrOrBytesPath, encode, fail

_AS_FORK = lib.FO_SPAWN_KEEP_DESCRIPTORS | lib.FO_SPAWN_NO_PIDFD
_AS_SUBPROCESS = lib.FO_SPAWN_RESTORE_SIGNALS | lib.FO_SPAWN_NO_PIDFD
_EXEC_FAILED = 127
_INHERIT, _PIPE, _TO_STDOUT = lib.FO_STREAM_INHERIT, lib.FO_STREAM_PIPE, lib.FO_STREAM_STDOUT


def _block(strings: Sequence[bytes]) -> bytes:
    return b"\0".join(strings) + b"\0"


def _request(arguments: list[bytes], programs: list[bytes], environment: list[bytes] | None, flags: int) -> Any:
    """A request, and after it what must live as long."""
    request: Any = ffi.new("struct fo_spawn_request *")
    lib.fo_spawn_request_init(request)
    blocks = ffi.from_buffer(_block(arguments)), ffi.from_buffer(_block(programs))
    request.arguments, request.argument_count = blocks[0], len(arguments)
    request.candidates, request.candidate_count = blocks[1], len(programs)
    request.flags = flags
    if environment is None:
        return request, blocks
    strings = ffi.from_buffer(_block(environment))
    request.environment, request.environment_count = strings, len(environment)
    return request, (*blocks, strings)


# -- the spawn functions ---------------------------------------------------------------------------------------------


def _spawn(mode: int, function: str, file: StrOrBytesPath, args: Any, env: Any, search: bool) -> int:
    """What os._spawnvef does: fork, exec in the child, and a wait unless the mode is P_NOWAIT."""
    if not isinstance(args, (tuple, list)):
        raise TypeError("argv must be a tuple or a list")
    if not args or not args[0]:
        raise ValueError("argv first element cannot be empty")
    audit("os.fork")
    audit("os.exec", file, args, env)
    if env is None and function.endswith("e"):
        return _not_started(mode)  # the standard function finds an argument missing in the child
    try:
        arguments = encode_arguments(function, args)
        environment = None if env is None else encode_environment(function, env)
        paths = candidates(file, env) if search else [file]
        programs = [encode(path, function, "file") for path in paths]
    except (TypeError, ValueError):
        # The standard function finds this out in the child, where it is a program that did not start.
        return _not_started(mode)
    request, kept = _request(arguments, programs, environment, _AS_FORK)
    result: Any = ffi.new("struct fo_spawn_result *")
    started = lib.fo_spawn(request, result)
    del kept
    if started < 0:
        return _not_started(mode) if result.step == lib.FO_STEP_EXEC else fail(started)
    return result.pid if mode == os.P_NOWAIT else _exit_code(result.pid)


def _not_started(mode: int) -> int:
    """The exit status 127, or with P_NOWAIT a child that has it."""
    if mode != os.P_NOWAIT:
        return _EXEC_FAILED
    pid = os.fork()
    if pid == 0:
        os._exit(_EXEC_FAILED)
    return pid


def _exit_code(pid: int) -> int:
    while True:
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)


def spawnv(mode: int, file: StrOrBytesPath, args: Any) -> int:
    """Runs the program `file` with `args`. Returns its exit code (P_WAIT; -signal if killed) or its pid (P_NOWAIT)."""
    return _spawn(mode, "spawnv", file, args, None, False)


def spawnve(mode: int, file: StrOrBytesPath, args: Any, env: Any) -> int:
    """As spawnv, with `env` as the environment."""
    return _spawn(mode, "spawnve", file, args, env, False)


def spawnvp(mode: int, file: StrOrBytesPath, args: Any) -> int:
    """As spawnv; `file` is looked for in PATH."""
    return _spawn(mode, "spawnvp", file, args, None, True)


def spawnvpe(mode: int, file: StrOrBytesPath, args: Any, env: Any) -> int:
    """As spawnve; `file` is looked for in the PATH of `env`."""
    return _spawn(mode, "spawnvpe", file, args, env, True)


def spawnl(mode: int, file: StrOrBytesPath, *args: Any) -> int:
    """As spawnv, with the arguments one by one."""
    return spawnv(mode, file, args)


def spawnle(mode: int, file: StrOrBytesPath, *args: Any) -> int:
    """As spawnve, with the arguments one by one and the environment last."""
    return spawnve(mode, file, args[:-1], args[-1])


def spawnlp(mode: int, file: StrOrBytesPath, *args: Any) -> int:
    """As spawnvp, with the arguments one by one."""
    return spawnvp(mode, file, args)


def spawnlpe(mode: int, file: StrOrBytesPath, *args: Any) -> int:
    """As spawnvpe, with the arguments one by one and the environment last."""
    return spawnvpe(mode, file, args[:-1], args[-1])


# -- children with pipes ---------------------------------------------------------------------------------------------


class Child:
    """A started child: its pid, and the ends of its pipes that are the caller's (-1: none)."""

    __slots__ = ("code", "pid", "pipes")

    def __init__(self, pid: int, pipes: tuple[int, int, int]) -> None:
        self.pid, self.pipes = pid, pipes
        self.code: int | None = None

    def wait(self) -> int:
        """The exit code, or -signal. 0 if somebody else took the status, as subprocess has it."""
        if self.code is None:
            try:
                self.code = _exit_code(self.pid)
            except ChildProcessError:
                self.code = 0
        return self.code

    def poll(self) -> bool:
        """Whether the child has ended; if so it is reaped."""
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.code = 0
            else:
                self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None


def start(args: Sequence[StrOrBytesPath], stdin: bool, stdout: bool, stderr: str) -> Child:
    """Starts a child with pipes where asked for; stderr is "inherit", "pipe" or "stdout"."""
    arguments = encode_arguments("popen", list(args))
    programs = [encode(path, "popen") for path in candidates(args[0], None)]
    audit("subprocess.Popen", args[0], list(args), None, None)
    request, kept = _request(arguments, programs, None, _AS_SUBPROCESS)
    errors = {"inherit": _INHERIT, "pipe": _PIPE, "stdout": _TO_STDOUT}[stderr]
    for number, stream in enumerate((_PIPE if stdin else _INHERIT, _PIPE if stdout else _INHERIT, errors)):
        request.streams[number] = stream
    result: Any = ffi.new("struct fo_spawn_result *")
    started = lib.fo_spawn(request, result)
    del kept
    if started < 0:
        fail(started, args[0])
    pipes = result.pipes
    return Child(result.pid, (pipes[0], pipes[1], pipes[2]))
