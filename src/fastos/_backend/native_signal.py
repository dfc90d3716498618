"""kill and killpg, from the compiled core."""

from sys import audit

from fastos._backend.native import lib
from fastos._backend.native_path import fail

_kill, _killpg = lib.fo_signal_kill, lib.fo_signal_killpg


def kill(pid: int, signal: int, /) -> None:
    audit("os.kill", pid, signal)
    if (result := _kill(pid, signal)) < 0:
        fail(result)


def killpg(pgid: int, signal: int, /) -> None:
    audit("os.killpg", pgid, signal)
    if (result := _killpg(pgid, signal)) < 0:
        fail(result)
