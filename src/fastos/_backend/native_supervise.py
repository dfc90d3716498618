"""What supervision asks of the compiled core: prepared spawns, waiting, the timer and the log pump."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._errors import check, error_from_errno
from fastos.supervise.service import Service
from fastos.supervise.unit import Exit

INHERIT = -1
NULL = -3
SAME_AS_STDOUT = -4


def timer_open() -> int:
    """A timer descriptor, or -1 where there is none."""
    return max(lib.fo_timer_open(), -1)


def timer_arm(fd: int, deadline_ns: int) -> None:
    check(lib.fo_timer_arm(fd, deadline_ns))


class Environment:
    """An environment encoded once, for all the services that share it."""

    __slots__ = ("block", "count", "path")

    def __init__(self, variables: Mapping[str, str]) -> None:
        pairs = [os.fsencode(f"{name}={value}") for name, value in variables.items()]
        self.block = ffi.new("char[]", b"\0".join(pairs) + b"\0")
        self.count = len(pairs)
        self.path = variables.get("PATH", os.defpath)


def _strings(words: Sequence[str]) -> Any:
    return ffi.new("char[]", b"\0".join(os.fsencode(word) for word in words) + b"\0")


def _candidates(service: Service, program: str, path: str) -> list[str]:
    program = service.executable or program
    if "/" in program:
        return [program]
    return [os.path.join(directory or ".", program) for directory in path.split(os.pathsep)]


class Request:
    """A spawn prepared once: only the descriptors change from one start of a service to the next."""

    __slots__ = ("_keep", "_result", "_wait", "raw")

    def __init__(self, service: Service, words: Sequence[str], environment: Environment) -> None:
        raw: Any = ffi.new("struct fo_spawn_request *")
        self.raw = raw
        lib.fo_spawn_request_init(raw)
        candidates = _candidates(service, words[0], environment.path)
        arguments, paths = _strings(words), _strings(candidates)
        keep = [arguments, paths, environment]
        raw.arguments, raw.argument_count = arguments, len(words)
        raw.candidates, raw.candidate_count = paths, len(candidates)
        raw.environment, raw.environment_count = environment.block, environment.count
        raw.flags = lib.FO_SPAWN_RESTORE_SIGNALS | lib.FO_SPAWN_SIGNAL_MASK
        raw.streams[0] = NULL
        if service.cwd is not None:
            directory = ffi.new("char[]", os.fsencode(service.cwd))
            raw.directory = directory
            keep.append(directory)
        if service.new_session:
            raw.flags |= lib.FO_SPAWN_NEW_SESSION
        elif service.stop_scope != "process":
            raw.process_group = 0
        if service.die_with_parent:
            raw.death_signal = 9
        _scalars(raw, service)
        _ids(raw, service, keep)
        _limits(raw, service, keep)
        self._keep = keep

    def limits(self, limits: Sequence[tuple[int, int, int]]) -> None:
        """Adds resource limits, (resource, soft, hard) each, that the service has not set itself."""
        block: Any = ffi.new("struct fo_spawn_limit[]", len(limits))
        for slot, (resource, soft, hard) in zip(block, limits, strict=True):
            slot.resource, slot.soft, slot.hard = resource, soft & (2**64 - 1), hard & (2**64 - 1)
        self.raw.limits, self.raw.limit_count = block, len(limits)
        self._keep.append(block)

    def spawn(self, stdout: int, stderr: int, descriptors: Sequence[tuple[int, int]], result: Any) -> tuple[int, int]:
        """Starts the process: (pid, pidfd). Raises OSError with the step that failed in its message."""
        raw = self.raw
        raw.streams[1], raw.streams[2] = stdout, stderr
        block = None
        if descriptors:
            block = ffi.new("struct fo_spawn_descriptor[]", list(descriptors))
            raw.descriptors = block
        raw.descriptor_count = len(descriptors)
        code = lib.fo_spawn(raw, result)
        if code < 0:
            step = _text(lib.fo_spawn_step_name(result.step))
            raise error_from_errno(-code, _text(raw.arguments), f"{step}: {os.strerror(-code)}")
        return result.pid, result.pidfd


def spawn(
    request: Request, stdout: int, stderr: int, descriptors: Sequence[tuple[int, int]], result: Any
) -> tuple[int, int, Any]:
    """Starts what was prepared: (pid, pidfd, None). Raises OSError."""
    pid, pidfd = request.spawn(stdout, stderr, descriptors, result)
    return pid, pidfd if pidfd >= 0 else os.pidfd_open(pid), None


def _text(raw: Any) -> str:
    return os.fsdecode(ffi.string(raw))


def new_result() -> Any:
    return ffi.new("struct fo_spawn_result *")


def _scalars(raw: Any, service: Service) -> None:
    if service.umask is not None:
        raw.umask = service.umask
    if service.nice is not None:
        raw.nice = service.nice
        raw.flags |= lib.FO_SPAWN_NICE
    if service.oom_score_adj is not None:
        raw.oom_score_adj = service.oom_score_adj
        raw.flags |= lib.FO_SPAWN_OOM
    if service.no_new_privs:
        raw.flags |= lib.FO_SPAWN_NO_NEW_PRIVILEGES


def _user_ids(user: str | int) -> tuple[int, int, str]:
    import pwd

    entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid, entry.pw_name


def _group_id(group: str | int) -> int:
    import grp

    return group if isinstance(group, int) else grp.getgrnam(group).gr_gid


def _ids(raw: Any, service: Service, keep: list[Any]) -> None:
    """User and groups; a user without further words brings its own groups, never root's."""
    groups: list[int] | None = None
    if service.user is not None:
        try:
            uid, gid, name = _user_ids(service.user)
        except KeyError:
            if not isinstance(service.user, int):
                raise LookupError(f"service {service.name!r}: no user {service.user!r}") from None
            uid, gid, name = service.user, -1, ""
        raw.user = uid
        raw.group = gid if service.group is None else _group_id(service.group)
        groups = os.getgrouplist(name, gid) if name else []
    elif service.group is not None:
        raw.group = _group_id(service.group)
    if service.groups is not None:
        groups = [_group_id(group) for group in service.groups]
    if groups is not None:
        block = ffi.new("uint32_t[]", sorted(set(groups)))
        raw.groups, raw.group_count = block, len(set(groups))
        keep.append(block)


def _limits(raw: Any, service: Service, keep: list[Any]) -> None:
    if service.affinity is not None:
        mask = sum(1 << cpu for cpu in set(service.affinity))
        length = (mask.bit_length() + 63) // 64 * 8
        block = ffi.new("uint8_t[]", mask.to_bytes(length, "little"))
        raw.affinity, raw.affinity_length = block, length
        keep.append(block)


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
