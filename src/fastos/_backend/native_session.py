"""Process ids, process groups, sessions and the controlling terminal, from the compiled core."""

import os
from collections.abc import Callable

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import fail

getpid: Callable[[], int] = lib.fo_session_getpid
getppid: Callable[[], int] = lib.fo_session_getppid
getpgrp: Callable[[], int] = lib.fo_session_getpgrp

_TERMINAL_SIZE = 256


def getpgid(pid: int) -> int:
    result = lib.fo_session_getpgid(pid)
    return result if result >= 0 else fail(result)


def setpgid(pid: int, pgrp: int, /) -> None:
    if (result := lib.fo_session_setpgid(pid, pgrp)) < 0:
        fail(result)


def setpgrp() -> None:
    if (result := lib.fo_session_setpgrp()) < 0:
        fail(result)


def getsid(pid: int, /) -> int:
    result = lib.fo_session_getsid(pid)
    return result if result >= 0 else fail(result)


def setsid() -> None:
    if (result := lib.fo_session_setsid()) < 0:
        fail(result)


def tcgetpgrp(fd: int, /) -> int:
    result = lib.fo_session_tcgetpgrp(fd)
    return result if result >= 0 else fail(result)


def tcsetpgrp(fd: int, pgid: int, /) -> None:
    if (result := lib.fo_session_tcsetpgrp(fd, pgid)) < 0:
        fail(result)


def ctermid() -> str:
    terminal = ffi.new("char[]", _TERMINAL_SIZE)
    if (result := lib.fo_session_ctermid(terminal, _TERMINAL_SIZE)) < 0:
        fail(result)
    return os.fsdecode(ffi.string(terminal))
