"""fork, and waiting for children by pid, from the compiled core.

`fork` is the interpreter's own: Python's fork hooks (`os.register_at_fork`, the import lock, the thread state of
the child) can be run by nothing else, since the C functions behind them belong to the interpreter, and a child in which
they did not run must not touch Python again.
"""

import operator
import os
from errno import EINTR
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import fail

fork = os.fork

_waitpid, _wait4 = lib.fo_child_waitpid, lib.fo_child_wait4
_LOWER = 0xFFFFFFFF
_COUNTERS = operator.attrgetter(
    *("maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock"),
    *("msgsnd", "msgrcv", "nsignals", "nvcsw", "nivcsw"),
)


def _signed(status: int) -> int:
    return status - (1 << 32) if status >= 1 << 31 else status


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    while (ended := _waitpid(pid, options)) == -EINTR:
        pass
    return (ended >> 32, _signed(ended & _LOWER)) if ended >= 0 else fail(ended)


def wait() -> tuple[int, int]:
    return waitpid(-1, 0)


def wait4(pid: int, options: int) -> tuple[int, int, Any]:
    from resource import struct_rusage

    used: Any = ffi.new("struct fo_child_usage *")
    while (ended := _wait4(pid, options, used)) == -EINTR:
        pass
    if ended < 0:
        fail(ended)
    fields = used.user_us * 1e-6, used.system_us * 1e-6, *_COUNTERS(used)
    return ended >> 32, _signed(ended & _LOWER), struct_rusage(fields)


def wait3(options: int) -> tuple[int, int, Any]:
    return wait4(-1, options)
