"""A spawn made ready for the compiled core: what is asked for, as C takes it."""

import os
import signal as signals
from typing import Any, Final

from fastos import _spawn_options as options
from fastos._backend.native import ffi, lib
from fastos._backend.native_environment import inherited
from fastos._pty import PTY

_STREAMS = {
    options.PIPE: lib.FO_STREAM_PIPE,
    options.STDOUT: lib.FO_STREAM_STDOUT,
    options.DEVNULL: lib.FO_STREAM_NULL,
}
STREAM_NAMES = ("stdin", "stdout", "stderr")


class Request:
    """A spawn made ready: it can be started many times, and from many threads.

    The strings are blocks of bytes as C takes them. A plain request says no more than they and `inherited` streams or
    pipes do, and is started without a structure. The environment is the one of the moment of the preparation.
    """

    arguments: bytes
    argument_count: int
    environment: bytes
    environment_count: int
    candidates: Any = ffi.NULL  # bytes, or NULL where the first argument is the only one
    candidate_count: int = 0
    streams: tuple[int, int, int] = (lib.FO_STREAM_INHERIT,) * 3
    plain: bool = True
    structure: Any = None
    kept: list[object] | None = None
    program: Any
    cwd: Any = None
    cgroup: Any = None
    new_session: bool = False

    @property
    def cdata(self) -> Any:
        """The `struct fo_spawn_request *` for C, made when it is first asked for; valid as long as this object is."""
        if self.structure is None:
            self.structure = self._make_structure()
        return self.structure

    def _make_structure(self) -> Any:
        made: Any = ffi.new("struct fo_spawn_request *")
        lib.fo_spawn_request_init(made)
        made.flags = lib.FO_SPAWN_RESTORE_SIGNALS
        # A bytes object does not move: its buffer is the C string for as long as it is held.
        made.arguments, made.argument_count = self._hold(self.arguments), self.argument_count
        made.environment, made.environment_count = self._hold(self.environment), self.environment_count
        made.candidates, made.candidate_count = self._hold(self.candidates), self.candidate_count
        made.streams = self.streams
        return made

    def _hold(self, block: Any) -> Any:
        if block is NULL:
            return block
        return self.keep(ffi.from_buffer(block))

    def keep(self, cdata: Any) -> Any:
        """Holds what the structure points to. Returns it."""
        if self.kept is None:
            self.kept = []
        self.kept.append(cdata)
        return cdata


NULL: Final = ffi.NULL
INHERITED: Final = Request.streams


def prepare(args: options.Arguments, env: Any, executable: Any, streams: tuple[Any, Any, Any], more: Any) -> Request:
    """The request for args. `more`: the further options that were given, by name, or None."""
    made = Request()
    arguments, made.argument_count = options.encode_arguments(args)
    made.arguments = arguments
    made.environment, made.environment_count = inherited() if env is None else options.encode_environment(env)
    if executable is None:
        program = made.program = args[0]
        if not (type(program) is str and "/" in program):
            made.candidates, made.candidate_count = options.candidates(options.first_argument(arguments), env)
    else:
        made.program = executable
        name = os.fsencode(executable)
        if b"\0" in name:
            raise ValueError("executable: embedded null byte")
        made.candidates, made.candidate_count = options.candidates(name, env)
    if streams != (None, None, None):
        _set_streams(made, streams)
    if more is not None:
        made.plain = False
        _set_options(made, more, streams)
    return made


def _set_streams(made: Request, streams: tuple[Any, Any, Any]) -> None:
    numbers = list(INHERITED)
    for number, stream in enumerate(streams):
        if stream is None:
            continue
        if type(stream) is int and stream in _STREAMS:
            if stream == options.STDOUT and number != 2:
                raise ValueError(f"{STREAM_NAMES[number]}: STDOUT is for stderr")
            numbers[number] = _STREAMS[stream]
        elif isinstance(stream, PTY) or stream is PTY:
            terminal = stream if isinstance(stream, PTY) else PTY()
            made.plain = False
            made.cdata.pty_rows, made.cdata.pty_columns = terminal.rows, terminal.columns
            made.cdata.flags |= lib.FO_SPAWN_NEW_SESSION
            made.new_session = True
            numbers[number] = lib.FO_STREAM_PTY
        elif isinstance(stream, int) and stream < 0:
            raise ValueError(f"{STREAM_NAMES[number]}: {stream!r} is neither a descriptor nor PIPE, DEVNULL, ...")
        else:
            numbers[number] = options.descriptor(stream, STREAM_NAMES[number])
    made.streams = (numbers[0], numbers[1], numbers[2])
    if made.structure is not None:
        made.structure.streams = numbers


def _array(made: Request, kind: str, values: Any) -> Any:
    return made.keep(ffi.new(kind, values))


def _set_options(made: Request, more: dict[str, Any], streams: tuple[Any, Any, Any]) -> None:
    _set_files(made, more, streams)
    _set_owner(made, more)
    _set_resources(made, more)
    _set_session(made, more, streams)


def _set_files(made: Request, more: dict[str, Any], streams: tuple[Any, Any, Any]) -> None:
    request = made.cdata
    if more.get("keep_descriptors"):
        request.flags |= lib.FO_SPAWN_KEEP_DESCRIPTORS
    if (fds := more.get("fds")) is not None:
        taken = {number for number, stream in enumerate(streams) if stream is not None}
        pairs = options.descriptors(fds, taken)
        request.descriptors = _array(made, "struct fo_spawn_descriptor[]", pairs)
        request.descriptor_count = len(pairs)
    if (cwd := more.get("cwd")) is not None:
        made.cwd = cwd
        if isinstance(cwd, int):
            request.directory_fd = options.descriptor(cwd, "cwd")
        else:
            path = os.fsencode(cwd)
            if b"\0" in path:
                raise ValueError("cwd: embedded null byte")
            request.directory = _array(made, "char[]", path)
    if (umask := more.get("umask")) is not None:
        if not 0 <= umask <= 0o7777:
            raise ValueError(f"umask: {umask:#o} is not one")
        request.umask = umask
    made.cgroup = more.get("cgroup")


def _set_owner(made: Request, more: dict[str, Any]) -> None:
    request = made.cdata
    user, group, groups = more.get("user"), more.get("group"), more.get("groups")
    if user is None and group is None and groups is None:
        return
    if more.get("keep_groups"):  # as subprocess does it: what was not named stays
        request.user = -1 if user is None else options.user_id(user)
        _, request.group, listed = options.owner(None, group, groups)
    else:
        request.user, request.group, listed = options.owner(user, group, groups)
    if listed is not None:
        request.groups = _array(made, "uint32_t[]", listed or [0])
        request.group_count = len(listed)


def _set_resources(made: Request, more: dict[str, Any]) -> None:
    request = made.cdata
    if rlimits := more.get("rlimits"):
        found = [(number, 0, soft, hard) for number, soft, hard in options.limits(rlimits)]
        request.limits = _array(made, "struct fo_spawn_limit[]", found)
        request.limit_count = len(found)
    if (nice := more.get("nice")) is not None:
        request.nice = nice
        request.flags |= lib.FO_SPAWN_NICE
    if (score := more.get("oom_score_adj")) is not None:
        request.oom_score_adj = score
        request.flags |= lib.FO_SPAWN_OOM
    if (affinity := more.get("affinity")) is not None:
        mask = options.affinity_mask(affinity)
        request.affinity = _array(made, "uint8_t[]", mask)
        request.affinity_length = len(mask)
    if more.get("no_new_privs"):
        request.flags |= lib.FO_SPAWN_NO_NEW_PRIVILEGES


def _set_session(made: Request, more: dict[str, Any], streams: tuple[Any, Any, Any]) -> None:
    request = made.cdata
    terminal = more.get("controlling_tty", False)
    if terminal is not False and terminal is not None:
        if terminal is True:
            terminal = 0 if streams[0] is None else streams[0]
        if not (terminal is PTY or isinstance(terminal, PTY)):
            request.controlling_tty = options.descriptor(terminal, "controlling_tty")
    if more.get("new_session") or request.controlling_tty >= 0:
        request.flags |= lib.FO_SPAWN_NEW_SESSION
        made.new_session = True
    if (group := more.get("process_group")) is not None:
        if group < 0:
            raise ValueError("process_group must not be negative")
        request.process_group = group
    if death := more.get("die_with_parent"):
        request.death_signal = signals.SIGKILL if death is True else death
    if (mask := more.get("signal_mask")) is not None:
        request.signal_mask = options.signal_bits(mask)
        request.flags |= lib.FO_SPAWN_SIGNAL_MASK
    if more.get("restore_signals") is False:
        request.flags &= ~lib.FO_SPAWN_RESTORE_SIGNALS
