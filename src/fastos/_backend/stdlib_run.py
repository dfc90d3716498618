"""Running processes to their end with the standard library: subprocess, and a thread for each process that runs.

There is no resource usage here, and a deadline kills descendants only where /proc tells of them.
"""

import contextlib
import errno
import os
import queue
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from fastos import _spawn_options as options
from fastos._backend import stdlib_spawn
from fastos._errors import SpawnError, spawn_error
from fastos._run_job import CANCELLED, INTERRUPT_GRACE_NS, TIMED_OUT, TRUNCATED, Job, Outcome

_CHUNK: Final = 65536


class Batch(list[Any]):
    """The arguments of commands that a shared job stands for."""

    def __init__(self, env: Any, executable: Any) -> None:
        super().__init__()

    def add(self, args: options.Arguments) -> None:
        """TypeError, ValueError."""
        options.encode_arguments(args)
        self.append(args)


def usage(kept: bytes) -> tuple[float, ...]:
    raise NotImplementedError("rusage: the standard-library backend has none; it needs the compiled core")


def spawn_failure(job: Job, step: Any, error: int, index: int) -> SpawnError:
    if isinstance(step, SpawnError):
        return step
    return spawn_error(str(step), error, job.args[0])


def _descendants(pid: int) -> list[int]:
    """Where there is a /proc: all descendants, parents before their children."""
    parents: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    with open(f"/proc/{name}/stat", "rb") as stat:
                        parent = int(stat.read().rpartition(b")")[2].split()[1])
                    parents.setdefault(parent, []).append(int(name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


class _Run:
    """One process and its streams."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.flags = 0
        self.survivors = 0
        self.failure: tuple[int, Any, int] = (0, 0, 0)
        self.outputs = {"stdout": bytearray(), "stderr": bytearray()}
        self.process: subprocess.Popen[bytes] | None = None
        self.killed = False
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.ended = self.started
        self.deadline = self.started + job.timeout_ns / 1e9 if job.timeout_ns >= 0 else None

    def start(self) -> None:
        request = self.job.request
        if self.job.shared:
            shared, request = request, stdlib_spawn.Request()
            request.args, request.program = list(self.job.args), self.job.args[0]
            request.cwd, request.cgroup, request.new_session = shared.cwd, shared.cgroup, shared.new_session
            request.keywords = shared.keywords
        try:
            child = stdlib_spawn.Child()
            child.start(request)
        except SpawnError as error:
            self.failure = (error.errno or errno.EIO, error, 0)
            return
        with self.lock:
            self.process = child._popen  # the same package
        if self.killed:
            self.kill(0)

    def kill(self, flag: int) -> None:
        self.flags |= flag
        with self.lock:
            self.killed = True
            process = self.process
        if process is None or process.returncode is not None:
            return
        descendants = _descendants(process.pid) if self.job.kill_tree else []
        with contextlib.suppress(OSError):
            process.kill()  # first: it must not end by itself because a descendant has
        for pid in descendants:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
            except OSError:
                self.survivors += 1

    def keep(self, name: str, data: bytes) -> None:
        limit, output = self.job.output_limit, self.outputs[name]
        room = len(data) if limit < 0 else limit - len(output)
        output += data[:room]
        if len(data) > room and not self.flags & TRUNCATED:
            self.flags |= TRUNCATED
            if self.job.kill_at_limit:
                self.kill(0)

    def left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def finish(self) -> None:
        """Feeds, reads and waits, with a look at the deadline."""
        process = self.process
        if process is None:
            return
        try:
            if os.name == "posix":
                self._talk(process)
            else:
                self._communicate(process)
            self._wait(process)
        finally:
            self.close_streams()
            self.ended = time.monotonic()

    def close_streams(self) -> None:
        process = self.process
        for stream in (process.stdin, process.stdout, process.stderr) if process is not None else ():
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            process.wait(None if self.killed else self.left())
        except subprocess.TimeoutExpired:
            self.kill(TIMED_OUT)
            process.wait()

    def _communicate(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            out, err = process.communicate(self.job.input, self.left())
        except subprocess.TimeoutExpired:
            self.kill(TIMED_OUT)
            out, err = process.communicate()
        self.keep("stdout", out or b"")
        self.keep("stderr", err or b"")

    def _talk(self, process: "subprocess.Popen[bytes]") -> None:
        position = 0
        data = memoryview(self.job.input or b"")
        with selectors.DefaultSelector() as selector:
            for name in ("stdout", "stderr"):
                if (stream := getattr(process, name)) is not None:
                    selector.register(stream, selectors.EVENT_READ, name)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
            while selector.get_map() and not self.killed:
                ready = selector.select(self.pause())
                for key, _ in ready:
                    if key.data == "stdin":
                        position = self._feed(selector, process, data, position)
                    else:
                        self._read(selector, key.fileobj, key.data)
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    process.poll()
                    self.kill(TIMED_OUT)
            if self.killed:
                process.wait()
                while ready := selector.select(0):
                    for key, _ in ready:
                        if key.data == "stdin" or not self._read(selector, key.fileobj, key.data):
                            with contextlib.suppress(KeyError):
                                selector.unregister(key.fileobj)

    def pause(self) -> float | None:
        """How long to wait for streams before looking whether another thread has killed."""
        left = self.left()
        return 0.05 if left is None else min(0.05, left)

    def _feed(self, selector: Any, process: Any, data: memoryview, position: int) -> int:
        try:
            if position < len(data):
                position += os.write(process.stdin.fileno(), data[position : position + _CHUNK])
        except BlockingIOError:
            return position
        except BrokenPipeError:
            position = len(data)
        if position >= len(data):
            selector.unregister(process.stdin)
            process.stdin.close()
        return position

    def _read(self, selector: Any, stream: Any, name: str) -> bool:
        data = os.read(stream.fileno(), _CHUNK)
        if data:
            self.keep(name, data)
        else:
            selector.unregister(stream)
        return bool(data)

    def outcome(self) -> Outcome:
        process = self.process
        pid, code = (process.pid, process.returncode or 0) if process is not None else (0, 0)
        duration = int((self.ended - self.started) * 1e9)
        out, err = (bytes(self.outputs[name]) for name in ("stdout", "stderr"))
        return Outcome(self.job.token, duration, pid, code, *self.failure, self.flags, self.survivors, None, out, err)


def run_alone(job: Job) -> Outcome:
    """Runs one process to its end. An exception from a signal handler kills it; after KeyboardInterrupt, which it
    may have had as well, it has a moment to end by itself."""
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
        group.drive()
    except KeyboardInterrupt:
        group.linger(INTERRUPT_GRACE_NS)
        raise


class Group:
    """Processes driven together, a thread each where there are several."""

    def __init__(self, count: int) -> None:
        self._runs: list[_Run] = []

    def start(self, job: Job) -> None:
        run = _Run(job)
        self._runs.append(run)
        run.start()

    def failed(self, number: int) -> bool:
        return bool(self._runs[number].failure[0])

    def drive(self) -> bool:
        others = [threading.Thread(target=run.finish) for run in self._runs[1:]]
        for thread in others:
            thread.start()
        try:
            self._runs[0].finish()
        except BaseException:
            self.kill()
            raise
        finally:
            for thread in others:
                thread.join()
        return True

    def linger(self, nanoseconds: int) -> None:
        until = time.monotonic() + nanoseconds / 1e9
        for run in self._runs:
            if run.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.process.wait(max(0.0, until - time.monotonic()))

    def kill(self) -> None:
        for run in self._runs:
            run.kill(CANCELLED)

    def outcomes(self) -> list[Outcome]:
        return [run.outcome() for run in self._runs]

    def close(self) -> None:
        for run in self._runs:
            if run.process is not None and run.process.returncode is None:
                run.kill(CANCELLED)
                run.process.wait()
                run.close_streams()


class Many:
    """Threads that run jobs from a queue; made as they are needed, at most one a job.

    `close` may be called by any thread while others use this object; its descriptor is there as long as the object.
    """

    _ready: tuple[int, int] | None = None

    def __init__(self, jobs: int, spawners: int, stop_at_failure: bool) -> None:
        self._most = jobs
        self._stop_at_failure = stop_at_failure
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()  # None: closed
        self._threads: list[threading.Thread] = []
        self._active: set[_Run] = set()
        self._lock = threading.Lock()
        self._outstanding = 0
        self._stopping = self._closing = False
        if os.name == "posix":
            self._ready = os.pipe()

    def fileno(self) -> int:
        if self._ready is None:
            raise NotImplementedError("fileno: no descriptor to wait for on this platform")
        return self._ready[0]

    def submit_alike(self, job: Job, token: int, batch: Batch) -> None:
        """Those of a batch, with tokens from `token` on."""
        self.submit([job.alike(args, number) for number, args in enumerate(batch, token)])

    def submit(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            if self._closing:
                return
            for job in jobs:
                self._queue.put(job)
            self._outstanding += len(jobs)
            while len(self._threads) < min(self._most, self._outstanding):
                thread = threading.Thread(target=self._work, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if self._stopping or self._closing:
                self._put(Outcome(job.token, 0, 0, 0, errno.ECANCELED, "", 0, CANCELLED, 0, None, b"", b""))
                continue
            run = _Run(job)
            with self._lock:
                self._active.add(run)
            try:
                self._guard(run.start)
                if self._closing:
                    run.kill(CANCELLED)
                self._guard(run.finish)
                outcome = run.outcome()
                failed = outcome.error or outcome.code or outcome.flags & (TIMED_OUT | CANCELLED)
                if self._stop_at_failure and failed:
                    self._stopping = True
                result: Outcome | BaseException = outcome
            except BaseException as problem:  # take() raises it: nobody would ever hear of it here
                result = problem
            with self._lock:
                self._active.discard(run)
            self._put(result)

    @staticmethod
    def _guard(step: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # a stream that broke: what was read is what there is
            step()

    def _put(self, outcome: Outcome | BaseException | None) -> None:
        self._results.put(outcome)
        if self._ready is not None:
            os.write(self._ready[1], b"\0")

    def take(self, timeout: float | None) -> list[Outcome]:
        found: list[Outcome | BaseException] = []
        with contextlib.suppress(queue.Empty):
            result = self._results.get(timeout != 0, timeout)
            while result is not None:
                found.append(result)
                result = self._results.get_nowait()
            self._results.put(None)  # for the next to see as well
        if self._ready is not None and found:
            left = len(found)
            while left:
                left -= len(os.read(self._ready[0], left))
        with self._lock:
            self._outstanding -= len(found)
        for problem in found:
            if isinstance(problem, BaseException):
                raise problem
        return [outcome for outcome in found if not isinstance(outcome, BaseException)]

    def stop(self) -> None:
        self._stopping = True

    def running(self) -> int:
        with self._lock:
            return len(self._active)

    def close(self) -> None:
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._closing:
                return
            self._closing = True
            active = list(self._active)
        self._put(None)
        for run in active:
            run.kill(CANCELLED)
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def __del__(self) -> None:
        for fd in self._ready or ():
            os.close(fd)
