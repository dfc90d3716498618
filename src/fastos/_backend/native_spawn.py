"""Spawning and waiting on the compiled core."""

import errno
import os
import signal as signals
from typing import Any, Final

from fastos import _spawn_options as options
from fastos._backend.native import ffi, lib
from fastos._backend.native_environment import inherited
from fastos._errors import SpawnError, check, spawn_error
from fastos._exit_status import ExitStatus
from fastos._pty import PTY

ENDED: Final = lib.FO_WAIT_ENDED


def _step_name(step: int) -> str:
    name = ffi.string(lib.fo_spawn_step_name(step))
    return name.decode() if isinstance(name, bytes) else name


# The names of the steps, by number.
STEPS: Final = [_step_name(step) for step in range(lib.FO_STEP_EXEC + 1)]

_STREAMS = {
    options.PIPE: lib.FO_STREAM_PIPE,
    options.STDOUT: lib.FO_STREAM_STDOUT,
    options.DEVNULL: lib.FO_STREAM_NULL,
}
_STREAM_NAMES = ("stdin", "stdout", "stderr")


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
        if block is _NULL:
            return block
        return self.keep(ffi.from_buffer(block))

    def keep(self, cdata: Any) -> Any:
        """Holds what the structure points to. Returns it."""
        if self.kept is None:
            self.kept = []
        self.kept.append(cdata)
        return cdata

    def start(self) -> "Child":
        """Starts a process. Raises SpawnError."""
        child = Child()
        child.start(self)
        return child


_NULL: Final = ffi.NULL
_INHERITED: Final = Request.streams


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
    numbers = list(_INHERITED)
    for number, stream in enumerate(streams):
        if stream is None:
            continue
        if type(stream) is int and stream in _STREAMS:
            if stream == options.STDOUT and number != 2:
                raise ValueError(f"{_STREAM_NAMES[number]}: STDOUT is for stderr")
            numbers[number] = _STREAMS[stream]
        elif isinstance(stream, PTY) or stream is PTY:
            terminal = stream if isinstance(stream, PTY) else PTY()
            made.plain = False
            made.cdata.pty_rows, made.cdata.pty_columns = terminal.rows, terminal.columns
            made.cdata.flags |= lib.FO_SPAWN_NEW_SESSION
            made.new_session = True
            numbers[number] = lib.FO_STREAM_PTY
        elif isinstance(stream, int) and stream < 0:
            raise ValueError(f"{_STREAM_NAMES[number]}: {stream!r} is neither a descriptor nor PIPE, DEVNULL, ...")
        else:
            numbers[number] = options.descriptor(stream, _STREAM_NAMES[number])
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


def failure(request: Request, result: Any) -> SpawnError:
    """The error that a `struct fo_spawn_result` tells of."""
    step, error, index = result.step, result.error, result.index
    name = STEPS[step]
    filename, hint = None, ""
    if step == lib.FO_STEP_EXEC:
        filename = request.program
        hint = _exec_hint(request.cdata, error)
    elif step == lib.FO_STEP_DIRECTORY:
        filename = request.cwd
    elif step == lib.FO_STEP_CGROUP:
        filename = request.cgroup
    elif step == lib.FO_STEP_LIMIT:
        name = f"{name}({options.limit_name(index)})"
    elif step == lib.FO_STEP_STREAM:
        name = f"{name}({_STREAM_NAMES[index]})"
    elif step == lib.FO_STEP_DESCRIPTOR:
        name = f"{name}({index})"
    elif step == lib.FO_STEP_USER:
        name = f"{name}({request.cdata.user})"
    elif step == lib.FO_STEP_GROUP:
        name = f"{name}({request.cdata.group})"
    return spawn_error(name, error, filename, hint)


def _exec_hint(request: Any, error: int) -> str:
    if error == errno.ENOEXEC:
        return "neither a program nor a script that begins with #!; no shell is tried"
    if error == errno.ENOENT and request.candidate_count <= 1:
        only = request.arguments if request.candidates == _NULL else request.candidates
        if os.path.exists(ffi.string(only)):
            return "the file is there, its interpreter or loader is not"
    return ""


_CHILD: Final = ffi.typeof("struct fo_spawn_child *")
_INTERRUPTED: Final = -errno.EINTR
# What each spawn calls, looked up once.
_new, _start, _wait = ffi.new, lib.fo_spawn_plain, lib.fo_spawn_wait


class Child:
    """A started process as C sees it, for any number of threads. The pidfd closes when the status is taken, or with
    this object; the other descriptors are the owner's to close once it has taken them."""

    pid: int = 0  # if there is none
    _made: Any = None
    _open = _piped = False

    def start(self, request: Request) -> None:
        """Raises SpawnError. An exception that a signal handler raises just after leaves the child in the structure."""
        made: Any = _new(_CHILD)
        self._made = made
        streams = request.streams
        self._piped = streams is not _INHERITED
        self._open = True
        if request.plain:
            pid = _start(
                request.arguments,
                request.argument_count,
                request.candidates,
                request.candidate_count,
                request.environment,
                request.environment_count,
                streams[0],
                streams[1],
                streams[2],
                made,
            )
        elif request.cgroup is None:
            pid = lib.fo_spawn_into(request.cdata, made)
        else:
            pid = self._start_in_cgroup(request, request.cgroup)
        if pid < 0:
            self._open = False
            raise failure(request, made.spawned)
        self.pid = pid

    def _start_in_cgroup(self, request: Request, cgroup: Any) -> int:
        copy: Any = ffi.new("struct fo_spawn_request *", request.cdata[0])
        if isinstance(cgroup, int):
            copy.cgroup_fd = cgroup
            return lib.fo_spawn_into(copy, self._made)
        try:
            copy.cgroup_fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise spawn_error("cgroup", error.errno or errno.EIO, cgroup) from None
        try:
            return lib.fo_spawn_into(copy, self._made)
        finally:
            os.close(copy.cgroup_fd)

    def started(self) -> int:
        """The pid, also after an exception that came before `pid` was set; 0 if there is no child."""
        if self.pid == 0 and self._made is not None:
            self.pid = self._made.spawned.pid
        return self.pid

    @property
    def parent(self) -> int:
        """The process whose child it is."""
        parent: int = self._made.parent
        return parent

    @property
    def pidfd(self) -> int:
        """-1 if there is none, or it was closed."""
        pidfd: int = self._made.spawned.pidfd
        return pidfd

    def take_pipe(self, stream: int) -> int:
        """The parent's end of a stream's pipe, from now on the caller's; -1 if there is none."""
        pipes = self._made.spawned.pipes
        fd: int = pipes[stream]
        pipes[stream] = -1
        return fd

    def take_pty(self) -> int:
        spawned = self._made.spawned
        fd: int = spawned.pty
        spawned.pty = -1
        return fd

    def wait(self, timeout_ns: int) -> int:
        """1: status() holds; 0: the time ran out; -EINTR: a signal came. Negative timeout: for ever.

        ChildProcessError: this is a forked copy of the parent.
        """
        ended: int = _wait(self._made, timeout_ns)
        if ended > 0:
            self._open = self._piped
            return 1
        return ended if ended == 0 or ended == _INTERRUPTED else check(ended)

    def status(self) -> ExitStatus:
        """As wait found it. It keeps this object, for the resource usage."""
        ended = self._made.waited
        if ended.state != ENDED:
            return ExitStatus(lost=True)
        if ended.signal:
            return ExitStatus(None, ended.signal, bool(ended.core_dumped), False, self._usage)
        return ExitStatus(ended.code, None, False, False, self._usage)

    def returncode(self) -> int:
        """The same as subprocess says it: minus the signal, or the code; 0 if it is lost."""
        ended = self._made.waited
        number: int = -ended.signal or ended.code
        return number

    def _usage(self) -> tuple[float, ...]:
        return usage(self._made.waited.usage)

    def send_signal(self, number: int) -> bool:
        """False if the process has ended."""
        sent: int = lib.fo_spawn_signal(self._made, number)
        if sent == -errno.ESRCH:
            return False
        check(sent)
        return True

    def close(self) -> None:
        """Closes what nobody took."""
        if self._open and self.started():  # before the start the structure is all zero, and 0 is a descriptor
            lib.fo_spawn_release(ffi.addressof(self._made.spawned))
            self._open = False

    def __del__(self) -> None:
        if self._open:
            self.close()


def usage(used: Any) -> tuple[float, ...]:
    """A `struct fo_usage` in the order of resource.struct_rusage."""
    return (
        used.user_us / 1e6,
        used.system_us / 1e6,
        used.max_rss,
        used.shared_rss,
        used.data_rss,
        used.stack_rss,
        used.minor_faults,
        used.major_faults,
        used.swaps,
        used.blocks_in,
        used.blocks_out,
        used.messages_sent,
        used.messages_received,
        used.signals,
        used.voluntary_switches,
        used.involuntary_switches,
    )


def set_subreaper(on: bool) -> bool:
    """Makes this process adopt its orphaned descendants, or not. Returns what it was. OSError where there is none."""
    return bool(check(lib.fo_wait_set_subreaper(int(on))))
