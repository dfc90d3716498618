"""What supervision asks of the compiled core: prepared spawns, waiting, the timer and the log pump."""

import errno
import os
import signal
from collections.abc import Sequence
from typing import Any

from fastos._backend import native_spawn
from fastos._backend.native import ffi, lib
from fastos._errors import check, spawn_error
from fastos._spawn_options import DEVNULL, EncodedEnvironment
from fastos.supervise.unit import Exit

INHERIT = -1
NULL = -3
SAME_AS_STDOUT = -4


def timer_open() -> int:
    """A timer descriptor, or -1 where there is none."""
    return max(lib.fo_timer_open(), -1)


def timer_arm(fd: int, deadline_ns: int) -> None:
    check(lib.fo_timer_arm(fd, deadline_ns))


def prepare(words: Sequence[str], environment: EncodedEnvironment, executable: str | None, more: dict[str, Any]) -> Any:
    """A spawn made ready once, with what `fastos.spawn` takes: only descriptors change from one start to the next.

    Raises TypeError, ValueError.
    """
    made = native_spawn.prepare(words, environment, executable, (DEVNULL, None, None), more)
    if "signal_mask" not in more:
        made.cdata.flags |= lib.FO_SPAWN_SIGNAL_MASK  # nothing is blocked, whatever the supervisor's thread blocks
    return made


def spawn(
    request: Any, streams: tuple[int, int, int], terminal: int, descriptors: Sequence[tuple[int, int]], result: Any
) -> tuple[int, int, Any]:
    """Starts what was prepared: (pid, pidfd, None). Raises OSError (SpawnError)."""
    raw = request.cdata
    raw.streams = streams
    raw.controlling_tty = terminal
    block = None
    if descriptors:
        block = ffi.new("struct fo_spawn_descriptor[]", list(descriptors))
        raw.descriptors = block
    raw.descriptor_count = len(descriptors)
    if request.cgroup is None:
        code = lib.fo_spawn(raw, result)
    else:
        code = _spawn_in_cgroup(request, result)
    if code < 0:
        raise native_spawn.failure(request, result)
    return result.pid, result.pidfd if result.pidfd >= 0 else _pidfd_of(result.pid), None


def _pidfd_of(pid: int) -> int:
    """The pidfd of a child that has just been made. Raises OSError; the child is gone then."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _spawn_in_cgroup(request: Any, result: Any) -> int:
    """The directory is opened anew for each start: it may have been removed and made again meanwhile."""
    raw = request.cdata
    try:
        raw.cgroup_fd = os.open(request.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise spawn_error("cgroup", error.errno or errno.EIO, request.cgroup) from None
    try:
        return int(lib.fo_spawn(raw, result))
    finally:
        os.close(raw.cgroup_fd)
        raw.cgroup_fd = -1


def _text(raw: Any) -> str:
    return os.fsdecode(ffi.string(raw))


def new_result() -> Any:
    return ffi.new("struct fo_spawn_result *")


def reap(pid: int, pidfd: int, process: Any, result: Any) -> Exit | None:
    """Takes a child's status; None while it runs."""
    result.state = lib.FO_WAIT_RUNNING
    check(lib.fo_wait_process(pid, pidfd, 0, result))
    if result.state == lib.FO_WAIT_RUNNING:
        return None
    if result.state == lib.FO_WAIT_LOST:
        return Exit(lost=True)
    usage = result.usage
    killed = result.signal != 0
    return Exit(
        None if killed else result.code,
        result.signal if killed else None,
        bool(result.core_dumped),
        False,
        usage.user_us,
        usage.system_us,
        usage.max_rss,
    )


def new_wait() -> Any:
    return ffi.new("struct fo_wait_result *")


class Scratch:
    """The buffers that all the logs of a supervisor share."""

    __slots__ = ("raw", "turn")

    def __init__(self) -> None:
        out = ffi.new("struct fo_log_scratch **")
        check(lib.fo_log_scratch_new(out))
        self.raw = out[0]
        self.turn: Any = ffi.new("struct fo_log_turn *")

    def close(self) -> None:
        lib.fo_log_scratch_free(self.raw)
        self.raw = ffi.NULL


class Pump:
    """One log: see csrc/api/log.h. `path` or `destination`, not both."""

    __slots__ = ("_log", "_scratch", "tapped")

    def __init__(
        self,
        scratch: Scratch,
        source: int,
        *,
        path: str | None = None,
        destination: int = -1,
        label: str = "",
        digits: int = 0,
        max_bytes: int = 0,
        max_age: float = 0,
        mode: int = 0o640,
    ) -> None:
        options: Any = ffi.new("struct fo_log_options *")
        keep = [ffi.new("char[]", os.fsencode(text)) if text else ffi.NULL for text in (path, label)]
        options.source, options.destination = source, destination
        options.path, options.label = keep
        options.stamp_digits = digits or -1
        options.max_bytes, options.max_age_seconds, options.mode = max_bytes, int(max_age), mode
        options.whole_lines = destination >= 0
        out: Any = ffi.new("struct fo_log **")
        check(lib.fo_log_open(options, out))
        self._log, self._scratch = out[0], scratch
        self.tapped = False

    def pump(self, budget: int) -> tuple[int, int, int, str]:
        """One turn: (flags, bytes read, errno of the destination, path of a rotated file or "")."""
        turn = self._scratch.turn
        check(lib.fo_log_pump(self._log, self._scratch.raw, budget, turn))
        rotated = _text(turn.rotated) if turn.flags & lib.FO_LOG_ROTATED else ""
        return turn.flags, turn.bytes_read, turn.error, rotated

    def finish(self) -> int:
        """Ends an open line; returns the flags."""
        check(lib.fo_log_finish(self._log, self._scratch.raw, self._scratch.turn))
        return int(self._scratch.turn.flags)

    def text(self) -> bytes:
        """With a tap: what the last turn formatted."""
        turn = self._scratch.turn
        return bytes(ffi.buffer(turn.text, turn.text_length)) if turn.text_length else b""

    def tap(self, on: bool) -> None:
        self.tapped = on
        lib.fo_log_tap(self._log, on)

    def pending(self) -> int:
        return lib.fo_log_pending(self._log)

    def reopen(self) -> None:
        lib.fo_log_reopen(self._log)

    def close(self) -> None:
        if self._log:
            lib.fo_log_close(self._log)
            self._log = ffi.NULL
