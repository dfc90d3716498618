"""The same for asyncio and trio, through anyio: `run`, `run_many`, `spawn` and `scan`. Needs the extra `fastos[aio]`.

No thread waits for a process: the event loop watches one descriptor a run (or the process's pidfd). Whatever is
cancelled leaves nothing behind: its processes and their descendants are killed and reaped first.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from fastos import _scan as scans
from fastos import _spawn
from fastos import _spawn_options as options
from fastos._completed import Completed, timeout_expired
from fastos._exit_status import ExitStatus
from fastos._run_many import Progress, RunMany, run_many_object
from fastos._run_plan import AnyCommand, Command, Input

if TYPE_CHECKING:
    from fastos._batch import Batch

__all__ = ["Process", "Runs", "Scan", "run", "run_many", "scan", "spawn"]

Item = TypeVar("Item")

# Where there is no descriptor to watch (no pidfd, Windows): the longest pause between two looks.
_LONGEST_PAUSE = 0.05


async def _in_thread(function: Callable[[], Item]) -> Item:
    """To the end, whatever is cancelled meanwhile, and however many threads the program has busy: they may be waiting
    for just this."""
    found: list[Item] = []
    with anyio.CancelScope(shield=True):
        found.append(await anyio.to_thread.run_sync(function, limiter=anyio.CapacityLimiter(1)))
    return found[0]


# -- runs -------------------------------------------------------------------------------------------------------------


class Runs:
    """What `run_many` returns: an asynchronous iterator of Completed, and an asynchronous context manager.

    Leave it by `async with`, or call `aclose`, if you do not iterate to the end.
    """

    def __init__(self, runs: RunMany) -> None:
        self._runs = runs

    @property
    def skipped(self) -> int:
        """How many commands were read but not started because of stop_on_error."""
        return self._runs.skipped

    def __aiter__(self) -> AsyncIterator[Completed]:
        return self

    async def __anext__(self) -> Completed:
        runs = self._runs
        runs.check_process()
        if runs.closed:
            raise StopAsyncIteration
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            while not runs.feed():
                await self._readable()
                runs.pull(0)
            done = runs.hand_out()
        except BaseException:
            await self.aclose()
            raise
        if done is None:
            raise StopAsyncIteration
        return done

    async def _readable(self) -> None:
        many = self._runs.many  # held, so that another task's aclose leaves the descriptor open
        if many is not None and os.name == "posix":
            await anyio.wait_readable(many.fileno())
        else:
            await anyio.sleep(_LONGEST_PAUSE / 5)

    async def aclose(self) -> None:
        """Kills and reaps what still runs."""
        if not self._runs.closed:
            await _in_thread(self._runs.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def run_many(
    commands: Iterable[AnyCommand],
    *,
    jobs: int | None = None,
    capture: bool = True,
    ordered: bool = False,
    stop_on_error: bool = False,
    progress: Callable[[Progress], object] | None = None,
    **more: Any,
) -> Runs:
    """fastos.run_many, to be iterated with `async for`. The same parameters and results.

    The iterable is read in the event loop's thread, so it should not block.
    """
    return Runs(run_many_object(commands, jobs, capture, ordered, stop_on_error, progress, more))


async def run(
    args: options.Arguments,
    *,
    input: Input = None,
    capture: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **more: Any,
) -> Completed:
    """fastos.run for an event loop: the same parameters, results and errors.

    Cancelled, it kills the process with its descendants, reaps it and only then lets the cancellation go on.
    """
    given = dict(more, input=input, timeout=timeout)
    runs = run_many_object([Command(args)], 1, capture, False, False, None, given, stdin=None)
    async with Runs(runs) as results:
        completed = await anext(results)
    if completed.error is not None:
        raise completed.error
    if completed.timed_out:
        raise timeout_expired(completed, timeout or 0.0)
    if check:
        completed.check_returncode()
    return completed


# -- spawn ------------------------------------------------------------------------------------------------------------


class Process:
    """A process that `spawn` started: fastos.Process, waited for without a thread.

    As an asynchronous context manager it closes the child's input and waits on the way out; when an exception (a
    cancellation, say) leads out, it kills the process with its descendants (on the standard-library backend, it
    alone).
    """

    def __init__(self, process: _spawn.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    async def wait(self) -> ExitStatus:
        """Waits for the process to end; any number of tasks may. Cancelled, it leaves the process alone."""
        pause, own = 0.001, -1
        try:
            while (status := self.process.poll()) is None:
                if own >= 0:
                    await anyio.wait_readable(own)
                elif (own := self._own_pidfd()) < 0:
                    await anyio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            if own >= 0:
                os.close(own)
        return status

    def _own_pidfd(self) -> int:
        """One that nobody else closes: the process's own goes when a status is taken, which other tasks and threads may
        do, and an event loop never hears of it. -1 if there is none. It is the process's if that runs still after this.
        """
        try:
            return os.dup(self.process.fileno())
        except (ValueError, OSError):
            return -1

    def send_signal(self, number: int) -> bool:
        """As fastos.Process.send_signal."""
        return self.process.send_signal(number)

    async def send(self, data: bytes) -> None:
        """Writes all of it to the child's standard input. BrokenPipeError if it reads no more."""
        stream = self.process.stdin
        if stream is None:
            raise ValueError("stdin is not a pipe")
        fd, view = stream.fileno(), memoryview(data)
        os.set_blocking(fd, False)
        while view:
            await anyio.wait_writable(fd)
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                continue

    def close_input(self) -> None:
        """The child reads the end of its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    async def receive(self, size: int = 65536) -> bytes:
        """What the child has written to its standard output, as soon as there is some; b"" at the end."""
        return await self._read(self.process.stdout, "stdout", size)

    async def receive_error(self, size: int = 65536) -> bytes:
        """The same for its standard error."""
        return await self._read(self.process.stderr, "stderr", size)

    async def _read(self, stream: Any, name: str, size: int) -> bytes:
        if stream is None:
            raise ValueError(f"{name} is not a pipe")
        fd = stream.fileno()
        os.set_blocking(fd, False)
        while True:
            await anyio.wait_readable(fd)
            try:
                return os.read(fd, size)
            except BlockingIOError:
                continue

    async def kill_tree(self, grace: float = 0.0, timeout: float = 5.0) -> list[int]:
        """As fastos.Process.kill_tree, in a thread: pids of survivors."""
        return await _in_thread(lambda: self.process.kill_tree(grace, timeout))

    async def aclose(self) -> None:
        """Kills the process with its descendants if it still runs, reaps it and closes its streams."""
        with anyio.CancelScope(shield=True):
            if self.process.poll() is None:
                try:
                    await self.kill_tree()
                except NotImplementedError:  # this backend can do no more
                    self.process.kill()
                await self.wait()
            self.process.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.close_input()
                await self.wait()
        finally:
            await self.aclose()


async def spawn(args: options.Arguments, **spawn_options: Any) -> Process:
    """fastos.spawn, with the same options. The event loop is held for as long as one spawn takes."""
    await anyio.lowlevel.checkpoint()
    return Process(_spawn.spawn(args, **spawn_options))


# -- scan -------------------------------------------------------------------------------------------------------------

_SOME = 4096
_SOON = 0.02


def _some(source: Iterator[Item]) -> list[Item]:
    """The next items, as many as come soon; none only at the end."""
    found: list[Item] = []
    until = time.monotonic() + _SOON
    for item in source:
        found.append(item)
        if len(found) >= _SOME or (len(found) % 64 == 0 and time.monotonic() >= until):
            break
    return found


class _Hops(Generic[Item]):
    """Iterates in a thread, many items a hop."""

    def __init__(self, owner: "Scan", source: Iterator[Item], pull: Callable[[Iterator[Item]], list[Item]]) -> None:
        self._owner, self._source, self._pull = owner, source, pull
        self._ready: Iterator[Item] = iter(())

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        for item in self._ready:
            return item
        try:
            found = await anyio.to_thread.run_sync(self._pull, self._source, abandon_on_cancel=True)
        except BaseException:
            await self._owner.aclose()
            raise
        self._ready = iter(found)
        for item in self._ready:
            return item
        raise StopAsyncIteration


class Scan:
    """A fastos.Scan to be iterated with `async for`, and an asynchronous context manager that closes it.

    Iterated itself it gives entries; `paths` and `batches` as in fastos.Scan. One pass. The scan's own threads
    read; the event loop only waits for a thread that fetches many results at a time.
    """

    def __init__(self, scan: scans.Scan) -> None:
        self.scan = scan

    def __aiter__(self) -> AsyncIterator[Any]:
        return _Hops(self, iter(self.scan), _some)

    def paths(self) -> AsyncIterator[Any]:
        """Paths, as fastos.Scan.paths."""
        return _Hops(self, iter(self.scan.paths()), _some)

    def batches(self) -> "AsyncIterator[Batch]":
        """Batches, as fastos.Scan.batches, one a hop."""
        return _Hops(self, iter(self.scan.batches()), lambda source: [batch] if (batch := next(source, None)) else [])

    @property
    def errors(self) -> Any:
        """As fastos.Scan.errors."""
        return self.scan.errors

    @property
    def stats(self) -> Any:
        """As fastos.Scan.stats."""
        return self.scan.stats

    async def aclose(self) -> None:
        """Ends the scan; its threads are gone within milliseconds."""
        await _in_thread(self.scan.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def scan(root: Any = ".", **scan_options: Any) -> Scan:
    """fastos.scan for an event loop: the same parameters, iterated with `async for`. Leave it by `async with`."""
    return Scan(scans.scan(root, **scan_options))
