"""Running processes to their end on the compiled core: one (or a pipeline) at a time, or many on one event loop."""

import errno
import os
import struct
from array import array
from collections.abc import Sequence
from typing import Any, Final

from fastos import _spawn_options as options
from fastos._backend import native_spawn
from fastos._backend.native import ffi, lib
from fastos._errors import SpawnError, check
from fastos._run_job import INTERRUPT_GRACE_NS, TRUNCATED, Job, Outcome

# The flags of C are those of fastos._run_job.
assert lib.FO_RUN_TRUNCATED == TRUNCATED

# struct fo_run_result as struct reads it: a whole batch of results in one step.
_RESULT: Final = struct.Struct("Qq7i4x128s4Q")
_USAGE: Final = struct.Struct("16q")
assert _RESULT.size == ffi.sizeof("struct fo_run_result")
_BATCH: Final = 64
_new_tuple: Final = tuple.__new__


class Batch:
    """The arguments of commands that a shared job stands for, encoded one after the other."""

    __slots__ = ("_env", "_fixed", "_found", "parts", "shapes")

    def __init__(self, env: Any, executable: Any) -> None:
        """`executable` is the program of all; else it is each one's first argument, looked for in the PATH of env."""
        self._env = env
        self._fixed = None if executable is None else options.candidates(os.fsencode(executable), env)
        self._found: dict[bytes, tuple[bytes, int]] = {}
        self.parts: list[bytes] = []
        self.shapes: list[int] = []

    def __len__(self) -> int:
        return len(self.shapes) // 4

    def add(self, args: options.Arguments) -> None:
        """TypeError, ValueError."""
        block, count = options.encode_arguments(args)
        self.parts.append(block)
        if (found := self._fixed or self._candidates(args[0], block)) is None:
            self.shapes += (count, len(block), 0, 0)
        else:
            candidates, candidate_count = found
            self.parts.append(candidates)
            self.shapes += (count, len(block), candidate_count, len(candidates))

    def _candidates(self, program: Any, block: bytes) -> tuple[bytes, int] | None:
        if type(program) is str and "/" in program:
            return None  # the first argument itself
        name = options.first_argument(block)
        found = self._found.get(name)
        if found is None:
            if len(self._found) >= 256:
                self._found.clear()
            found = self._found[name] = options.candidates(name, self._env)
        return found

    def clear(self) -> None:
        self.parts.clear()
        self.shapes.clear()


def _fill(command: Any, job: Job) -> None:
    """`job.request` has the arguments; what is filled in points into the job, which must stay."""
    command.request = job.request.cdata
    command.arguments = ffi.NULL
    if job.input is None:
        command.input_length = 0
    else:
        job.keep = ffi.from_buffer(job.input)
        command.input = job.keep
        command.input_length = len(job.keep)
    command.timeout_ns = job.timeout_ns
    command.output_limit = job.output_limit
    command.token = job.token
    command.kill_at_limit = job.kill_at_limit
    command.kill_child_only = not job.kill_tree


def _open_cgroup(job: Job) -> int:
    """Gives the job's request its cgroup; returns the descriptor to close after the job, or -1."""
    cgroup = job.request.cgroup
    if cgroup is None:
        return -1
    fd = cgroup if isinstance(cgroup, int) else os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    job.request.cdata.cgroup_fd = fd
    return -1 if isinstance(cgroup, int) else fd


class _Failure:
    """What native_spawn.failure asks of a result."""

    def __init__(self, step: int, error: int, index: int) -> None:
        self.step, self.error, self.index = step, error, index


def spawn_failure(job: Job, step: int, error: int, index: int) -> SpawnError:
    # A shared request speaks of the first command's program.
    request = job.plan.make_request(job.args) if job.shared else job.request
    return native_spawn.failure(request, _Failure(step, error, index))


def _outcomes(results: Any, count: int) -> list[Outcome]:
    rows = _RESULT.iter_unpack(ffi.buffer(results, count * _RESULT.size))
    return [_outcome(row, results, number) for number, row in enumerate(rows)]


def _outcome(row: tuple[Any, ...], results: Any, number: int) -> Outcome:
    output: Any = ffi.unpack(results[number].output, row[10]) if row[10] else b""
    errors: Any = ffi.unpack(results[number].errors, row[11]) if row[11] else b""
    return _new_tuple(Outcome, (*row[:10], output, errors))


def usage(kept: bytes) -> tuple[float, ...]:
    """The usage of an outcome in the order of resource.struct_rusage."""
    raw = _USAGE.unpack(kept)
    return (raw[0] / 1e6, raw[1] / 1e6, *raw[2:])


class _Single:
    """A group for one process, which can be used again and again."""

    __slots__ = ("_fields", "group", "pid", "result")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.result: Any = None
        self._fields: Any = None
        made = ffi.new("fo_run_group **")
        check(lib.fo_run_group_new(1, made))
        self.group: Any = made[0]

    def outcome(self) -> Outcome:
        if self.result is None:
            self.result = lib.fo_run_group_result(self.group, 0)
            self._fields = ffi.buffer(self.result, _RESULT.size)
        return _outcome(_RESULT.unpack_from(self._fields), self.result, 0)

    def close(self) -> None:
        """Kills and reaps what is left, unless this is a forked copy."""
        group, self.group = self.group, None
        if group is not None and os.getpid() == self.pid:
            lib.fo_run_group_free(group)

    def __del__(self) -> None:
        if getattr(self, "group", None) is not None:
            self.close()


# How many groups wait to be used again, and how many bytes of output they keep until then.
_MOST_IDLE: Final = 8
_MOST_KEPT: Final = 1 << 16
_idle: list[_Single] = []
os.register_at_fork(after_in_child=_idle.clear)


# What each run calls, looked up once.
_start_plain, _drive = lib.fo_run_group_start_plain, lib.fo_run_group_drive
_KILL_AT_LIMIT, _KILL_CHILD_ONLY = lib.FO_RUN_ONCE_KILL_AT_LIMIT, lib.FO_RUN_ONCE_KILL_CHILD_ONLY


def run_alone(job: Job) -> Outcome:
    """Runs one process to its end. An exception from a signal handler kills it; after KeyboardInterrupt, which it
    may have had as well, it has a moment to end by itself."""
    request: native_spawn.Request = job.request
    if not request.plain:
        return _run_in_group(job)
    try:
        single = _idle.pop()
    except IndexError:
        single = _Single()
    group, input = single.group, job.input
    if input is None:
        data, length = ffi.NULL, 0
    else:
        data = ffi.from_buffer(input)
        length = len(data)
    try:
        started = _start_plain(
            group,
            request.arguments,
            request.argument_count,
            request.candidates,
            request.candidate_count,
            request.environment,
            request.environment_count,
            *request.streams,
            data,
            length,
            job.timeout_ns,
            job.output_limit,
            job.kill_at_limit * _KILL_AT_LIMIT | (not job.kill_tree) * _KILL_CHILD_ONLY,
        )
        check(started)
        while _drive(group) != 1:  # a signal came, and its handler has run
            pass
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            lib.fo_run_group_linger(group, INTERRUPT_GRACE_NS)
        single.close()
        raise
    outcome = single.outcome()
    if len(outcome.output) + len(outcome.errors) > _MOST_KEPT:
        lib.fo_run_release(single.result, 1)
    if len(_idle) < _MOST_IDLE:
        _idle.append(single)
    return outcome


def _run_in_group(job: Job) -> Outcome:
    group = Group(1)
    try:
        group.start(job)
        drive(group)
        return group.outcomes()[0]
    finally:
        group.close()


def drive(group: "Group") -> None:
    """Until all have ended; a signal handler's exception kills them on the way out."""
    try:
        while not group.drive():
            pass
    except KeyboardInterrupt:
        group.linger(INTERRUPT_GRACE_NS)
        raise


class Group:
    """Processes driven in the caller's thread."""

    def __init__(self, count: int) -> None:
        made = ffi.new("fo_run_group **")
        check(lib.fo_run_group_new(count, made))
        self._group: Any = made[0]
        self._jobs: list[Job] = []
        self._pid = os.getpid()
        self._cgroups: list[int] = []

    def start(self, job: Job) -> None:
        if (fd := _open_cgroup(job)) >= 0:
            self._cgroups.append(fd)
        command: Any = ffi.new("struct fo_run_command *")
        _fill(command, job)
        self._jobs.append(job)  # the input is needed until the end
        check(lib.fo_run_group_start(self._group, command))

    def failed(self, number: int) -> bool:
        """Whether that process could not be started."""
        return self._error(number) != 0

    def _error(self, number: int) -> int:
        error: int = lib.fo_run_group_error(self._group, number)
        return error

    def drive(self) -> bool:
        """True when all have ended; False after a signal, whose handler runs before the next call."""
        return lib.fo_run_group_drive(self._group) == 1

    def linger(self, nanoseconds: int) -> None:
        lib.fo_run_group_linger(self._group, nanoseconds)

    def kill(self) -> None:
        lib.fo_run_group_kill(self._group)

    def outcomes(self) -> list[Outcome]:
        found: list[Outcome] = []
        for number in range(len(self._jobs)):
            found += _outcomes(lib.fo_run_group_result(self._group, number), 1)
        return found

    def close(self) -> None:
        """Kills and reaps what is left."""
        group, self._group = self._group, None
        if group is not None and os.getpid() == self._pid:
            lib.fo_run_group_free(group)
        while self._cgroups:
            os.close(self._cgroups.pop())


class Many:
    """Many processes at once, behind the interpreter's back.

    `close` may be called by any thread while others use this object; its descriptor is there as long as the object.
    """

    _made: Any = None

    def __init__(self, jobs: int, spawners: int, stop_at_failure: bool) -> None:
        self._pid = os.getpid()
        self._made = made = ffi.new("fo_run_many **")  # in place before there is something to free
        check(lib.fo_run_many_open(jobs, spawners, made))
        self._run: Any = made[0]
        if stop_at_failure:
            lib.fo_run_many_stop_at_failure(self._run)
        self._jobs: dict[int, Job] = {}
        self._cgroups: dict[int, int] = {}
        self._commands: Any = ffi.new("struct fo_run_command[]", _BATCH)
        self._results: Any = ffi.new("struct fo_run_result[]", _BATCH)
        self._shared: Job | None = None
        self._model: Any = ffi.new("struct fo_run_command *")

    def fileno(self) -> int:
        """Readable while results wait."""
        fd: int = lib.fo_run_many_fileno(self._run)
        return fd

    def submit(self, jobs: Sequence[Job]) -> None:
        for begin in range(0, len(jobs), _BATCH):
            batch = jobs[begin : begin + _BATCH]
            for number, job in enumerate(batch):
                if (fd := _open_cgroup(job)) >= 0:
                    self._cgroups[job.token] = fd
                _fill(self._commands[number], job)
                self._jobs[job.token] = job
            self._submitted(lib.fo_run_many_submit(self._run, self._commands, len(batch)))

    def submit_alike(self, job: Job, token: int, batch: Batch) -> None:
        """Those of a batch, with tokens from `token` on. There is one such job for a Many."""
        if self._shared is None:
            if (fd := _open_cgroup(job)) >= 0:
                self._cgroups[-1] = fd
            _fill(self._model, job)
            self._shared = job
        self._model.token = token
        shapes = ffi.from_buffer("struct fo_run_shape[]", array("I", batch.shapes))
        strings = b"".join(batch.parts)
        self._submitted(lib.fo_run_many_submit_alike(self._run, self._model, strings, shapes, len(batch)))

    @staticmethod
    def _submitted(result: int) -> None:
        if result != -errno.ECANCELED:  # closed meanwhile
            check(result)

    def take(self, timeout: float | None) -> list[Outcome]:
        """The results that are there, after waiting for one. None are also returned after a signal, and once closed."""
        nanoseconds = -1 if timeout is None else int(timeout * 1e9)
        count = lib.fo_run_many_take(self._run, self._results, _BATCH, nanoseconds)
        if count in (-errno.EINTR, -errno.ECANCELED):
            return []
        found = _outcomes(self._results, check(count))
        lib.fo_run_release(self._results, count)
        if self._jobs:
            for outcome in found:
                self._jobs.pop(outcome.token, None)
                if self._cgroups and (fd := self._cgroups.pop(outcome.token, -1)) >= 0:
                    os.close(fd)
        return found

    def stop(self) -> None:
        lib.fo_run_many_stop(self._run)

    def running(self) -> int:
        count: int = lib.fo_run_many_running(self._run)
        return count

    def close(self) -> None:
        if os.getpid() == self._pid:
            lib.fo_run_many_close(self._run)
        self._jobs.clear()
        while self._cgroups:
            os.close(self._cgroups.popitem()[1])

    def __del__(self) -> None:
        if self._made is not None:
            lib.fo_run_many_free(self._made[0])
