"""Running many programs at once: `run_many`."""

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from fastos import _backend
from fastos._completed import Completed, completed_from, no_process
from fastos._option_check import check_options
from fastos._run_feed import Feed
from fastos._run_job import CANCELLED, Job, Outcome
from fastos._run_plan import DEVNULL, AnyCommand, Command, args_and_options

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
else:
    backend = _backend.topic("run")

# Closed at the end of the interpreter: it does not drop what a daemon thread iterates.
_open: "weakref.WeakSet[RunMany]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for runs in list(_open):
        runs.close()


_MOST_PROCESSES: Final = 1 << 22  # that Linux can have


class Progress(NamedTuple):
    """How far a run_many has come."""

    finished: int
    failed: int
    running: int
    total: int | None  # None where the iterable does not tell


def default_jobs() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class RunMany:
    """What `run_many` returns: an iterator of Completed, and a context manager.

    To iterate it is to feed it: commands are taken from the iterable, and results handed out, in the thread that
    iterates. Everything else goes on behind it. Closing it (or leaving the `with`, or dropping it) kills and reaps what
    still runs. Several threads may iterate it, each for results of its own, and any may close it: then all are at the
    end. In a forked process there is nothing to iterate.
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
        stdin: Any = DEVNULL,
    ) -> None:
        self._many: backend.Many | None = None
        self._iterating = threading.RLock()
        check_options({"jobs": jobs, "progress": progress})
        jobs = default_jobs() if jobs is None else jobs
        if jobs < 1:
            raise ValueError("jobs must be at least 1")
        jobs = min(jobs, _MOST_PROCESSES)
        self._feed = Feed(given, capture, stdin)
        self._total = len(commands) if isinstance(commands, Sized) else None
        self._commands = iter(commands)
        self._window = 4 * jobs + 64 if ordered else jobs + max(jobs, 64)
        self._ordered, self._stop_on_error, self._progress = ordered, stop_on_error, progress
        self._jobs: dict[int, tuple[Job, Any]] = {}  # submitted, with the command's args
        self._ready: deque[Completed] = deque()
        self._held: dict[int, Completed] = {}  # ordered: results whose turn has not come
        self._next = self._turn = self._finished = self._failed = self._yielded = 0
        self._exhausted = self._stopped = False
        self._failure: BaseException | None = None
        self.skipped = 0
        self._pid = os.getpid()
        self._many = backend.Many(jobs, max(1, min(jobs, default_jobs() + 1, 64)), stop_on_error)
        _open.add(self)

    @property
    def closed(self) -> bool:
        """Whether all is over."""
        return self._many is None

    @property
    def many(self) -> "backend.Many | None":
        """What has the descriptor that is readable while results wait, and once this is closed; the descriptor lives as
        long as that is held. For event loops, with `feed`, `pull` and `hand_out`."""
        return self._many

    @property
    def running(self) -> int:
        """How many processes are alive or being started."""
        many = self._many
        return 0 if many is None else many.running()

    # -- feeding

    def _fill(self) -> None:
        """Submits commands until enough are on their way."""
        many, feed = self._many, self._feed
        if many is None:  # closed meanwhile, by another thread or a signal handler
            return
        while not self._exhausted and (token := self._next) - self._yielded < self._window:
            try:
                command = next(self._commands)
            except StopIteration:
                self._exhausted = True
                break
            except Exception as error:
                self._exhausted, self._failure = True, error
                break
            try:
                self._jobs[token] = feed.add(command, token, many)
            except ValueError as error:  # no process can be had for it: a result like a missing program
                self._next += 1
                self._deliver(_impossible(command, token, error))
                continue
            except Exception as error:
                self._exhausted, self._failure = True, error
                break
            self._next += 1
        feed.flush(many)

    # -- results

    def _deliver(self, done: Completed) -> None:
        self._finished += 1
        if not done.success:
            self._failed += 1
            if self._stop_on_error and not self._stopped:  # one that never was a process; else it has stopped itself
                self._exhausted = self._stopped = True
                if (many := self._many) is not None:
                    many.stop()
        if not self._ordered:
            self._ready.append(done)
        else:
            self._held[done.index] = done
            while self._turn in self._held:
                self._ready.append(self._held.pop(self._turn))
                self._turn += 1
        if self._progress is not None:
            self._progress(Progress(self._finished, self._failed, self.running, self._total))

    def _accept(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            job, args = self._jobs.pop(outcome[0], _CLOSED)
            if job is None:
                return
            if outcome.flags & CANCELLED and outcome.error:
                self.skipped += 1  # stop_on_error: it was never started
            else:
                self._deliver(completed_from(job, args, outcome))

    def check_process(self) -> None:
        """RuntimeError in a forked process."""
        if os.getpid() != self._pid:
            raise RuntimeError("this run belongs to the process that this one was forked from")

    def feed(self) -> bool:
        """Feeds; True if there is a result to hand out or nothing is left to wait for."""
        self._fill()
        return bool(self._ready) or not self._jobs or self._many is None

    def pull(self, timeout: float | None) -> None:
        """Takes what has ended, after waiting so long for the first."""
        if (many := self._many) is not None:
            self._accept(many.take(timeout))
            self._fill()

    def hand_out(self) -> Completed | None:
        """After `feed` was true: the next result, or None at the end, when everything is closed."""
        if self._ready:
            self._yielded += 1
            return self._ready.popleft()
        for index in sorted(self._held):  # after a stop, numbers are missing before these
            self._ready.append(self._held.pop(index))
        if self._ready:
            return self.hand_out()
        failure, self._failure = self._failure, None
        self.close()
        if failure is not None:
            raise failure
        return None

    def __iter__(self) -> Iterator[Completed]:
        return self

    def __next__(self) -> Completed:
        self.check_process()  # there the lock could be held by nobody
        with self._iterating:
            if self._ready:
                self._yielded += 1
                return self._ready.popleft()
            if self._many is None:
                raise StopIteration
            try:
                while not self.feed():
                    self.pull(None)
            except BaseException:
                self.close()
                raise
            done = self.hand_out()
        if done is None:
            raise StopIteration
        return done

    def close(self) -> None:
        """Kills and reaps what still runs. May be called at any time, and again."""
        many, self._many = self._many, None
        self._exhausted, self._failure = True, None
        if many is not None:
            many.close()
        self._jobs.clear()
        self._ready.clear()
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_many", None) is not None:
            self.close()


_CLOSED: Any = None, None  # in place of a job


def _impossible(command: AnyCommand, token: int, error: ValueError) -> Completed:
    args = command if not isinstance(command, Command | Mapping) else args_and_options(command)[0]
    done = no_process(Completed(args, 126), error)
    done.index = token
    return done


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

    A few threads in C start, read and reap them all, however many they are, without the interpreter.

    Args:
        commands: any iterable, read lazily: at most 2 × jobs commands (jobs + 64 for few jobs) are on their way, unread
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
        raises is raised after the results of what was running; what is no Exception (KeyboardInterrupt) at once.

    Raises:
        TypeError, ValueError: options that make no sense, before anything is started; while iterating, a command that
            is none. OSError: no event loop to be had.
    """
    given = dict(spawn_options, text=text, kill_at_limit=kill_at_limit, kill_tree=kill_tree)
    given.update(encoding=encoding, errors=errors, timeout=timeout, output_limit=output_limit)
    return run_many_object(commands, jobs, capture, ordered, stop_on_error, progress, given)


def run_many_object(
    commands: Iterable[AnyCommand],
    jobs: int | None,
    capture: bool,
    ordered: bool,
    stop_on_error: bool,
    progress: Callable[[Progress], object] | None,
    given: dict[str, Any],
    stdin: Any = DEVNULL,
) -> RunMany:
    """run_many with its options in a dictionary; None stands for one that was not given."""
    given = {name: value for name, value in given.items() if value is not None}
    if "stdout" in given or "stderr" in given:
        capture = False
    return RunMany(commands, jobs, ordered, stop_on_error, progress, given, capture, stdin)
