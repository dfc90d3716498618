"""Running processes to their end: `run`, `run_many`, `pipeline`, and `Completed`, which is how each ended."""

import locale
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from fastos import _backend, _process
from fastos import _spawn_options as options
from fastos._pty import PTY
from fastos._run_job import CANCELLED, CORE, LOST, TIMED_OUT, TRUNCATED, Job, Outcome

if TYPE_CHECKING:
    import resource

    from fastos._backend import native_run as backend
else:
    backend = _backend.topic("run")

PIPE = options.PIPE
STDOUT = options.STDOUT
DEVNULL = options.DEVNULL

Input: TypeAlias = "str | bytes | bytearray | memoryview | options.HasFileno | None"

# After an interrupt from the terminal the child has it as well: how long it may take to end by itself, as subprocess.
_INTERRUPT_GRACE = 0.25

_RUN_OPTIONS = frozenset(
    ("input", "capture", "text", "encoding", "errors", "timeout", "output_limit", "kill_at_limit", "kill_tree")
) | {"stdin", "stdout", "stderr"}
_SPAWN_OPTIONS = frozenset(_process.spawn.__kwdefaults__ or ()) - _RUN_OPTIONS


class CalledProcessError(subprocess.CalledProcessError):
    """A process failed and `check` was asked for. `completed` is the Completed with all that is known."""

    completed: "Completed"


class TimeoutExpired(subprocess.TimeoutExpired):
    """The deadline came first; the process is dead and reaped. `completed` has the output up to then."""

    completed: "Completed"


class Command:
    """Arguments together with options of their own, for `run_many` and `pipeline`.

    Command(["sort", "-u"], input=names, timeout=10, env={"LC_ALL": "C"}): every option of `run` but check.
    """

    __slots__ = ("args", "options")

    def __init__(self, args: options.Arguments, **options: Any) -> None:
        _check_names(options)
        self.args = args
        self.options = options

    def __repr__(self) -> str:
        more = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Command({self.args!r}{more})"


AnyCommand: TypeAlias = "options.Arguments | Command | Mapping[str, Any]"


class Completed(subprocess.CompletedProcess[Any]):
    """How a process ended: a subprocess.CompletedProcess that knows more.

    Attributes:
        args: the command as given.
        returncode: the exit code, or minus the signal. Where there was no process, 127 (no such program) or 126, as
            shells have it; 255 if the status was lost.
        stdout, stderr: what was collected, bytes or str; None if it was not.
        pid: the process id it had; 0 if there was no process.
        duration: seconds from the start of the spawn to the end of the process and of its collected streams.
        timed_out: the deadline came first, and the process was killed.
        truncated: a stream had more than `output_limit` bytes.
        cancelled: killed because the run was ended.
        lost: somebody else took the status (a waitpid(-1) elsewhere in this process).
        core_dumped: the kernel wrote a core file.
        survivors: how many of the descendants of a killed process could not be signalled.
        error: the SpawnError (or the ValueError) for which there was no process, or the UnicodeDecodeError for which
            the output is bytes; None if all went well.
        index: the number of the command in its run_many or pipeline, from 0.
    """

    index: int = 0
    pid: int = 0
    duration: float = 0.0
    timed_out: bool = False
    truncated: bool = False
    cancelled: bool = False
    lost: bool = False
    core_dumped: bool = False
    survivors: int = 0
    error: Exception | None = None
    _usage: tuple[int, ...] | None = None

    @property
    def success(self) -> bool:
        """Whether it ended by itself with code 0, in time."""
        return self.returncode == 0 and not self.timed_out and self.error is None

    @property
    def rusage(self) -> "resource.struct_rusage | None":
        """What the process and its waited-for descendants used; None if unknown. See getrusage(2)."""
        if self._usage is None:
            return None
        import resource

        return resource.struct_rusage(backend.usage(self._usage))

    def check_returncode(self) -> None:
        """Raises what keeps this from being a success: `error`, TimeoutExpired or CalledProcessError."""
        if self.error is not None:
            raise self.error
        if self.timed_out:
            raise _timeout_expired(self, self.duration)
        if self.returncode != 0:
            failure = CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)
            failure.completed = self
            raise failure

    def __repr__(self) -> str:
        told = [f"args={self.args!r}", f"returncode={self.returncode!r}"]
        told += [f"{name}={value!r}" for name in ("stdout", "stderr") if (value := getattr(self, name)) is not None]
        told += [name for name in ("timed_out", "truncated", "cancelled", "lost") if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(told)})"


class Progress(NamedTuple):
    """How far a run_many has come."""

    finished: int
    failed: int
    running: int
    total: int | None  # None where the iterable does not tell


def _timeout_expired(completed: Completed, timeout: float) -> TimeoutExpired:
    expired = TimeoutExpired(completed.args, timeout, completed.stdout, completed.stderr)
    expired.completed = completed
    return expired


def _check_names(names: Mapping[str, Any]) -> None:
    for name in names:
        if name not in _RUN_OPTIONS and name not in _SPAWN_OPTIONS:
            raise TypeError(f"unexpected option {name!r}")


# -- from options to jobs ---------------------------------------------------------------------------------------------


class _Plan:
    """Options that have been looked at once, for one command or for all of a batch."""

    __slots__ = ("decode", "encoding", "errors", "executable", "given", "job", "request", "stderr", "stdout")

    def __init__(self, given: Mapping[str, Any], capture: bool, stdin: Any = None) -> None:
        _check_names(given)
        self.given = dict(given)
        self.request: Any = None
        self.executable: Any = None
        text, self.encoding, errors = given.get("text"), given.get("encoding"), given.get("errors")
        self.decode = bool(text or self.encoding or errors)
        self.errors = errors or "strict"
        if given.get("capture", capture):
            if "stdout" in given or "stderr" in given:
                raise ValueError("capture collects stdout and stderr: say stdout=PIPE or stderr=PIPE for one of them")
            self.given["stdout"] = self.given["stderr"] = PIPE
        self._streams(stdin)
        self.job = self._job()

    def _streams(self, stdin: Any) -> None:
        given = self.given
        if given.get("stdin") == PIPE and given.get("input") is None:
            raise ValueError("stdin=PIPE is for input=; a process to talk with is what fastos.spawn starts")
        if given.get("input") is not None:
            if given.get("stdin") not in (None, PIPE):
                raise ValueError("stdin and input exclude each other")
            value = given["input"]
            given["stdin"] = value if hasattr(value, "fileno") else PIPE
        elif given.get("stdin") is None:
            given["stdin"] = stdin
        for name in ("stdin", "stdout", "stderr"):
            if isinstance(given.get(name), PTY) or given.get(name) is PTY:
                raise ValueError(f"{name}: a pseudo-terminal needs somebody to talk to: fastos.spawn")
        self.stdout = given.get("stdout") == PIPE
        self.stderr = given.get("stderr") == PIPE

    def _job(self) -> Job:
        """The numbers that are the same for every command."""
        given, job = self.given, Job()
        timeout, limit = given.get("timeout"), given.get("output_limit")
        job.timeout_ns = -1 if timeout is None else max(0, min(int(timeout * 1e9), 2**62))
        if limit is not None and limit < 0:
            raise ValueError("output_limit must not be negative")
        job.output_limit = -1 if limit is None else limit
        job.kill_at_limit = bool(given.get("kill_at_limit", False))
        job.kill_tree = bool(given.get("kill_tree", True))
        job.input = self._input(given.get("input"))
        job.block = job.keep = job.candidates = job.executable = None
        job.plan = self
        return job

    def _input(self, value: Input) -> Any:
        if value is None or hasattr(value, "fileno"):
            return None
        if isinstance(value, str):
            return value.encode(self.encoding or locale.getpreferredencoding(False), self.errors)
        return bytes(value) if isinstance(value, memoryview) else value

    def make_request(self, args: options.Arguments) -> Any:
        sys.audit("fastos.spawn", args, self.given.get("cwd"), self.given.get("env"))
        more = {name: value for name, value in self.given.items() if name in _SPAWN_OPTIONS}
        streams = {name: self.given.get(name) for name in ("stdin", "stdout", "stderr")}
        return _process.prepare(args, **streams, **more)

    def job_for(self, args: options.Arguments, token: int) -> Job:
        """A job with a request of its own."""
        job = self.job
        job.args, job.token, job.request = args, token, self.make_request(args)
        return job

    def shared_job(self, args: options.Arguments, token: int) -> Job:
        """One of many jobs with the same request, made with the first."""
        if self.request is None:
            self.request = self.make_request(args)
            executable = self.given.get("executable")
            if executable is not None:
                self.executable = options.candidates(os.fsencode(executable), self.given.get("env"))
        else:
            sys.audit("fastos.spawn", args, self.given.get("cwd"), self.given.get("env"))
        job, model = Job(), self.job
        job.args, job.token, job.request = args, token, self.request
        job.timeout_ns, job.output_limit, job.input = model.timeout_ns, model.output_limit, model.input
        job.kill_at_limit, job.kill_tree = model.kill_at_limit, model.kill_tree
        job.plan, job.keep, job.executable = self, None, self.executable
        backend.encode(job, self.given.get("env"))
        return job

    def text_of(self, output: bytes) -> str:
        text = output.decode(self.encoding or locale.getpreferredencoding(False), self.errors)
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _completed(job: Job, args: Any, outcome: Outcome) -> Completed:
    flags, plan = outcome.flags, job.plan
    done = Completed(
        args, outcome.code, outcome.output if plan.stdout else None, outcome.errors if plan.stderr else None
    )
    done.index = outcome.token
    done.pid = outcome.pid
    done.duration = outcome.duration_ns / 1e9
    done._usage = outcome.usage
    if flags:
        done.timed_out = bool(flags & TIMED_OUT)
        done.truncated = bool(flags & TRUNCATED)
        done.cancelled = bool(flags & CANCELLED)
        done.core_dumped = bool(flags & CORE)
        done.survivors = outcome.survivors
        if flags & LOST:
            done.lost, done._usage, done.returncode = True, None, 255
    error, step, index = outcome.failure
    if error:
        _no_process(done, backend.spawn_failure(job, step, error, index))
    elif plan.decode:
        _decode(done, plan)
    return done


def _no_process(done: Completed, error: Exception) -> Completed:
    done.error = error
    done._usage = None
    done.returncode = 127 if isinstance(error, FileNotFoundError) else 126
    return done


def _decode(done: Completed, plan: _Plan) -> None:
    try:
        if plan.stdout:
            done.stdout = plan.text_of(done.stdout)
        if plan.stderr:
            done.stderr = plan.text_of(done.stderr)
    except UnicodeDecodeError as error:
        done.error = error


# -- one -------------------------------------------------------------------------------------------------------------


def _drive(group: "backend.Group") -> None:
    """Until all have ended; a signal handler's exception kills them on the way out."""
    try:
        while not group.drive():
            pass
    except KeyboardInterrupt:
        group.linger(_INTERRUPT_GRACE)
        raise


def run(
    args: options.Arguments,
    *,
    input: Input = None,
    capture: bool = False,
    text: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    timeout: float | None = None,
    check: bool = False,
    output_limit: int | None = None,
    kill_at_limit: bool = False,
    kill_tree: bool = True,
    **spawn_options: Any,
) -> Completed:
    """Runs a program to its end: spawn, input, output, wait, in one go without the interpreter.

    Args:
        args: the program and its arguments; no shell.
        input: bytes, or str (encoded), fed to its standard input, or a file to read from. None: inherited.
        capture: collect stdout and stderr; stdout=PIPE or stderr=PIPE collects one, stderr=STDOUT joins them.
        text: give the output as str, with newlines translated, as subprocess does; encoding and errors imply it.
        timeout: seconds. At the deadline the process and its descendants are killed. The deadline also ends the wait
            for a stream that a descendant holds open after the process itself has ended; without one the end of the
            collected streams is waited for, as subprocess does.
        check: raise CalledProcessError if the exit code is not 0.
        output_limit: how many bytes of each stream to keep. What comes after is read and dropped, so that the process
            is not held up, and the result says `truncated`.
        kill_at_limit: kill the process and its descendants when a stream comes to its limit.
        kill_tree: False: a deadline or limit kills the process alone, as subprocess does. Descendants that were
            orphaned before, or whose ids forbid it, are left: `survivors` counts those that are known.
        spawn_options: every option of fastos.spawn.

    Raises:
        SpawnError: the process could not be started; its `step` says at what.
        TimeoutExpired: a subprocess.TimeoutExpired, with the output so far.
        CalledProcessError: a subprocess.CalledProcessError.
        UnicodeDecodeError: the output is not text.
        TypeError, ValueError: options that make no sense, before anything is started.

    An exception from a signal handler (KeyboardInterrupt) kills the process and its descendants; after Ctrl-C it has
    a quarter of a second to end by itself.
    """
    given = dict(spawn_options, text=text, capture=capture)
    for name, value in (
        ("input", input),
        ("encoding", encoding),
        ("errors", errors),
        ("timeout", timeout),
        ("output_limit", output_limit),
    ):
        if value is not None:
            given[name] = value
    given["kill_at_limit"], given["kill_tree"] = kill_at_limit, kill_tree
    job = _Plan(given, capture).job_for(args, 0)
    group = backend.Group(1)
    try:
        group.start(job)
        _drive(group)
        (outcome,) = group.outcomes()
    finally:
        group.close()
    completed = _completed(job, args, outcome)
    if completed.error is not None:
        raise completed.error
    if completed.timed_out:
        raise _timeout_expired(completed, timeout or 0.0)
    if check:
        completed.check_returncode()
    return completed


def pipeline(
    commands: Iterable[AnyCommand],
    *,
    input: Input = None,
    capture: bool = True,
    text: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    timeout: float | None = None,
    check: bool = False,
    output_limit: int | None = None,
    **spawn_options: Any,
) -> list[Completed]:
    """Runs programs with each one's output as the next one's input: `a | b | c`. Returns how each ended, in order.

    Each stage that reads no more lets the one before it end by SIGPIPE, as in a shell.

    Args:
        commands: at least one: sequences of arguments, or Command or mappings ({"args": …}) with options of their own.
        input: for the first, as in run; None: inherited.
        capture: collect the last one's stdout. Standard error is inherited unless stderr=PIPE is said, for all or for
            one command.
        timeout: seconds for the whole; at the deadline all are killed.
        check: raise CalledProcessError for the first that failed, like a shell's pipefail; one that a SIGPIPE ended
            because the next did not read on is no failure, unless it is the last.
        others: as in run, for every stage.

    Raises: as run. If a stage cannot be started, those before it are killed.
    """
    stages = [_args_and_options(command) for command in commands]
    if not stages:
        raise ValueError("a pipeline has at least one command")
    common = dict(
        spawn_options, text=text, encoding=encoding, errors=errors, timeout=timeout, output_limit=output_limit
    )
    group = backend.Group(len(stages))
    jobs: list[Job] = []
    try:
        _start_stages(group, jobs, stages, common, input, capture)
        _drive(group)
        outcomes = group.outcomes()
    finally:
        group.close()
    results = []
    for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        results.append(_completed(job, stages[number][0], outcome))
    _check_pipeline(results, timeout, check)
    return results


def _start_stages(
    group: "backend.Group",
    jobs: list[Job],
    stages: list[tuple[Any, Mapping[str, Any]]],
    common: dict[str, Any],
    input: Input,
    capture: bool,
) -> None:
    upstream: int | None = None
    last = len(stages) - 1
    try:
        for number, (args, own) in enumerate(stages):
            given, ends = {**common, **own}, (-1, -1)
            if number == 0 and input is not None:
                given["input"] = input
            if number > 0:
                given["stdin"] = upstream
            if number < last:
                ends = os.pipe()
                given["stdout"] = ends[1]
            elif capture:
                given.setdefault("stdout", PIPE)
            try:
                job = _Plan(given, False).job_for(args, number)
                group.start(job)
                jobs.append(job)
            finally:
                for fd in (upstream, ends[1]):
                    if fd is not None and fd >= 0:
                        os.close(fd)
                upstream = ends[0] if ends[0] >= 0 else None
            if group.failed(number):
                group.kill()
                break
    finally:
        if upstream is not None:
            os.close(upstream)


def _check_pipeline(results: list[Completed], timeout: float | None, check: bool) -> None:
    for completed in results:
        if completed.error is not None:
            raise completed.error
    for completed in results:
        if completed.timed_out:
            raise _timeout_expired(completed, timeout or 0.0)
    for completed in results if check else ():
        if completed.returncode != -13 or completed is results[-1]:
            completed.check_returncode()


# -- many ------------------------------------------------------------------------------------------------------------


def _args_and_options(command: AnyCommand) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(command, Command):
        return command.args, command.options
    if isinstance(command, Mapping):
        own = dict(command)
        try:
            args = own.pop("args")
        except KeyError:
            raise TypeError('a command given as a mapping needs "args"') from None
        _check_names(own)
        return args, own
    if isinstance(command, str | bytes | os.PathLike):
        raise TypeError(f"a command is a sequence of arguments, such as [{command!r}]; fastos runs no shell")
    return command, {}


def _default_jobs() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class RunMany:
    """What `run_many` returns: an iterator of Completed, and a context manager.

    To iterate it is to feed it: commands are taken from the iterable, and results handed out, in the thread that
    iterates. Everything else goes on behind it. Closing it (or leaving the `with`, or dropping it) kills and reaps what
    still runs.
    """

    def __init__(
        self,
        commands: Iterable[AnyCommand],
        jobs: int | None,
        ordered: bool,
        stop_on_error: bool,
        progress: Callable[[Progress], object] | None,
        given: dict[str, Any],
        capture: bool,
    ) -> None:
        self._many: backend.Many | None = None
        jobs = _default_jobs() if jobs is None else jobs
        if jobs < 1:
            raise ValueError("jobs must be at least 1")
        self._given, self._capture = given, capture
        self._plan = _Plan(given, capture, DEVNULL)
        self._total = len(commands) if isinstance(commands, Sized) else None
        self._commands = iter(commands)
        self._window = 4 * jobs + 64 if ordered else jobs + max(jobs, 16)
        self._ordered, self._stop_on_error, self._progress = ordered, stop_on_error, progress
        self._jobs: dict[int, tuple[Job | None, Any]] = {}  # submitted, with the command's args
        self._ready: deque[Completed] = deque()
        self._held: dict[int, Completed] = {}  # ordered: results whose turn has not come
        self._next = self._turn = self._finished = self._failed = self._yielded = 0
        self._exhausted = False
        self._failure: BaseException | None = None
        self.skipped = 0
        self._pid = os.getpid()
        self._many = backend.Many(jobs, max(1, min(jobs, _default_jobs() + 1, 64)))

    # -- feeding

    def _make_job(self, command: AnyCommand, token: int) -> Job:
        args, own = _args_and_options(command)
        if not own:
            return self._plan.shared_job(args, token)
        capture = self._capture and not ("stdout" in own or "stderr" in own)
        return _Plan({**self._given, **own}, capture, DEVNULL).job_for(args, token)

    def _fill(self) -> None:
        """Submits commands until enough are on their way."""
        batch: list[Job] = []
        while not self._exhausted and self._next - self._yielded < self._window:
            try:
                command = next(self._commands)
                token = self._next
                job = self._make_job(command, token)
            except StopIteration:
                self._exhausted = True
                break
            except ValueError as error:  # no process can be had for it: a result like a missing program
                args = command if not isinstance(command, Command | Mapping) else _args_and_options(command)[0]
                self._next += 1
                self._jobs[token] = (None, args)
                done = _no_process(Completed(args, 126), error)
                done.index = token
                self._deliver(done)
                continue
            except BaseException as error:
                self._exhausted, self._failure = True, error
                break
            self._next += 1
            self._jobs[token] = (job, job.args)
            batch.append(job)
        if batch:
            assert self._many is not None
            self._many.submit(batch)

    # -- results

    def _deliver(self, done: Completed) -> None:
        del self._jobs[done.index]
        self._finished += 1
        if not done.success:
            self._failed += 1
            if self._stop_on_error and not self._exhausted:
                self._exhausted = True
                assert self._many is not None
                self._many.stop()
        if not self._ordered:
            self._ready.append(done)
        else:
            self._held[done.index] = done
            while self._turn in self._held:
                self._ready.append(self._held.pop(self._turn))
                self._turn += 1
        if self._progress is not None:
            assert self._many is not None
            self._progress(Progress(self._finished, self._failed, self._many.running(), self._total))

    def _accept(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            job, args = self._jobs[outcome.token]
            if outcome.flags & CANCELLED and outcome.failure[0]:
                self._jobs.pop(outcome.token)  # stop_on_error: it was never started
                self.skipped += 1
                continue
            assert job is not None
            self._deliver(_completed(job, args, outcome))

    def _feed(self) -> bool:
        """Feeds; True if there is a result to hand out or nothing is left to wait for."""
        self._fill()
        return bool(self._ready) or not self._jobs

    def _pull(self, timeout: float | None) -> None:
        assert self._many is not None
        self._accept(self._many.take(timeout))
        self._fill()

    def _hand_out(self) -> Completed | None:
        """The next result, or None at the end, when everything is closed."""
        if self._ready:
            self._yielded += 1
            return self._ready.popleft()
        for index in sorted(self._held):  # after a stop, numbers are missing before these
            self._ready.append(self._held.pop(index))
        if self._ready:
            return self._hand_out()
        self.close()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return None

    def __iter__(self) -> Iterator[Completed]:
        return self

    def __next__(self) -> Completed:
        if self._many is None:
            raise StopIteration
        try:
            if not self._ready:
                while not self._feed():
                    self._pull(None)
        except BaseException:
            self.close()
            raise
        done = self._hand_out()
        if done is None:
            raise StopIteration
        return done

    def close(self) -> None:
        """Kills and reaps what still runs. May be called at any time, and again."""
        many, self._many = self._many, None
        if many is not None:
            many.close()
        self._jobs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_many", None) is not None:
            self.close()


def run_many(
    commands: Iterable[AnyCommand],
    *,
    jobs: int | None = None,
    capture: bool = True,
    text: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    timeout: float | None = None,
    ordered: bool = False,
    stop_on_error: bool = False,
    progress: Callable[[Progress], object] | None = None,
    output_limit: int | None = None,
    kill_at_limit: bool = False,
    kill_tree: bool = True,
    **spawn_options: Any,
) -> RunMany:
    """Runs many programs, at most `jobs` at a time, and gives each one's Completed as it ends.

    There is no thread for each process: one event loop in C with a few threads starts, reads and reaps them all.

    Args:
        commands: any iterable, read lazily: at most 2 × jobs commands (jobs + 16 for few jobs) are on their way, unread
            results included; more are read only as results are handed out. Each is a sequence of arguments, or a
            Command or a mapping {"args": …} with options of its own, which take the place of those given here.
        jobs: how many processes to have alive at a time; None: one a CPU. Where the limit on descriptors or processes
            allows fewer, fewer there are: nothing fails for that.
        capture: collect stdout and stderr. stdin is /dev/null unless said otherwise, as xargs has it.
        timeout: seconds for each.
        ordered: give the results in the order of the commands. While the first is slow, up to 4 × jobs + 64 results
            are held back, then no more is started.
        stop_on_error: after the first that is not a success start no more; those that run are let end. `skipped` of
            the iterator counts those that were read and not started.
        progress: called with a Progress after each result, in the thread that iterates.
        others: as in run. The environment is that of the first command read.

    Returns:
        An iterator of Completed with `close`, a context manager. A program that cannot be started, a deadline, output
        that is not text: none of these raises; they are in the result (`error`, `timed_out`). What the iterable
        raises is raised after the results of what was running.

    Raises:
        TypeError, ValueError: options that make no sense, before anything is started; while iterating, a command that
            is none. OSError: no event loop to be had.
    """
    given = dict(spawn_options, text=text, kill_at_limit=kill_at_limit, kill_tree=kill_tree)
    for name, value in (
        ("encoding", encoding),
        ("errors", errors),
        ("timeout", timeout),
        ("output_limit", output_limit),
    ):
        if value is not None:
            given[name] = value
    if capture and ("stdout" in given or "stderr" in given):
        capture = False
    return RunMany(commands, jobs, ordered, stop_on_error, progress, given, capture)
