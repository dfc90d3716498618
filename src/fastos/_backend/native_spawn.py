"""Spawning and waiting on the compiled core."""

import errno
import os
from typing import Any, Final

from fastos import _spawn_options as options
from fastos._backend.native import ffi, lib
from fastos._backend.native_spawn_request import INHERITED, NULL, STREAM_NAMES
from fastos._backend.native_spawn_request import Request as Request
from fastos._backend.native_spawn_request import prepare as prepare
from fastos._errors import SpawnError, check, spawn_error
from fastos._exit_status import ExitStatus

ENDED: Final = lib.FO_WAIT_ENDED


def _step_name(step: int) -> str:
    name = ffi.string(lib.fo_spawn_step_name(step))
    return name.decode() if isinstance(name, bytes) else name


# The names of the steps, by number.
STEPS: Final = [_step_name(step) for step in range(lib.FO_STEP_EXEC + 1)]


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
        name = f"{name}({STREAM_NAMES[index]})"
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
        only = request.arguments if request.candidates == NULL else request.candidates
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
        self._piped = streams is not INHERITED
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
