"""fastos.aio on asyncio and on trio: the same results, and nothing left after a cancellation."""

import pathlib
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

import fastos
from fastos import aio

Test = Callable[[], Awaitable[None]]


@pytest.fixture(params=["asyncio", "trio"])
def on_loop(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    def run(test: Test) -> None:
        async def main() -> None:
            with anyio.fail_after(60):
                await test()
            # Idle worker threads of the event loop are not ours to count.

        anyio.run(main, backend=request.param)

    return run


@pytest.fixture
def no_leaks() -> Any:
    """The event loops keep threads and self-pipes for a while: here the children alone are counted."""
    import os

    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_run(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        completed = await aio.run(sh("cat; exit 3"), input=b"in", capture=True)
        assert (completed.stdout, completed.returncode) == (b"in", 3)
        with pytest.raises(fastos.CalledProcessError):
            await aio.run(["false"], check=True)
        with pytest.raises(FileNotFoundError):
            await aio.run(["/nowhere/program"])
        with pytest.raises(fastos.TimeoutExpired):
            await aio.run(["sleep", "60"], timeout=0.05)

    on_loop(test)


def test_run_does_not_hold_the_loop(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            await aio.run(["sleep", "0.3"])
            group.cancel_scope.cancel()
        assert turns > 5

    on_loop(test)


def test_many_runs_at_once(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        seen = []

        async def one(number: int) -> None:
            seen.append((await aio.run(["echo", str(number)], capture=True, text=True)).stdout)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)
        assert sorted(map(int, seen)) == list(range(20))

    on_loop(test)


def test_cancelled_run_leaves_nothing(on_loop: Callable[[Test], None], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pid"

    async def test() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(aio.run, sh(f"sleep 60 & echo $! > {file}; wait"))
            while not file.exists() or not file.read_text().endswith("\n"):
                await anyio.sleep(0.005)
            group.cancel_scope.cancel()
        stat = pathlib.Path(f"/proc/{int(file.read_text())}/stat")
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            await anyio.sleep(0.01)

    on_loop(test)


def test_run_many(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        commands = (["echo", str(number)] for number in range(30))
        results = [result async for result in aio.run_many(commands, jobs=4, ordered=True, text=True)]
        assert [result.stdout for result in results] == [f"{number}\n" for number in range(30)]

    on_loop(test)


def test_run_many_left_half_way(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with aio.run_many([["true"], *[["sleep", "60"]] * 5], jobs=3) as results:
            async for result in results:
                assert result.success
                break

    on_loop(test)


def test_cancelled_run_many(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        with anyio.move_on_after(0.1) as scope:
            async for _ in aio.run_many([["sleep", "60"]] * 5, jobs=3):
                pass
        assert scope.cancelled_caught

    on_loop(test)


def test_spawn_streams(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with await aio.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
            await process.send(b"hello")
            assert await process.receive() == b"hello"
            process.close_input()
            assert await process.receive() == b""
            assert (await process.wait()).code == 0

    on_loop(test)


def test_spawn_much(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        size = 3_000_000
        async with await aio.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:

            async def feed() -> None:
                await process.send(bytes(size))
                process.close_input()

            received = 0
            async with anyio.create_task_group() as group:
                group.start_soon(feed)
                while data := await process.receive():
                    received += len(data)
            assert received == size

    on_loop(test)


def test_cancelled_spawn(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        with anyio.move_on_after(0.1):
            async with await aio.spawn(["sleep", "60"]) as process:
                await process.wait()
        status = process.process.poll()
        assert status is not None
        assert status.signal == signal.SIGKILL

    on_loop(test)


def test_the_status_is_taken_elsewhere(on_loop: Callable[[Test], None]) -> None:
    """The pidfd closes then, of which an event loop hears nothing; and two tasks may wait."""

    async def test() -> None:
        process = await aio.spawn(["sleep", "60"])
        found = []

        async def wait() -> None:
            found.append(await process.wait())

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            process.process.kill()
            process.process.wait()
        assert [status.signal for status in found] == [signal.SIGKILL] * 2

    on_loop(test)


def test_run_many_closed_by_another_task(on_loop: Callable[[Test], None]) -> None:
    async def test() -> None:
        runs = aio.run_many([["sleep", "60"]] * 3, jobs=3)

        async def iterate() -> None:
            assert [done async for done in runs] == []

        async with anyio.create_task_group() as group:
            group.start_soon(iterate)
            await anyio.wait_all_tasks_blocked()
            await runs.aclose()

    on_loop(test)


def test_run_with_all_threads_busy(on_loop: Callable[[Test], None]) -> None:
    """Those may be waiting for the run."""

    async def test() -> None:
        limiter, done = anyio.to_thread.current_default_thread_limiter(), threading.Event()
        limiter.total_tokens = 1
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, done.wait)
            await anyio.wait_all_tasks_blocked()
            try:
                assert (await aio.run(["true"])).success
                with anyio.move_on_after(0.05):
                    await aio.run(["sleep", "60"])
            finally:
                done.set()

    on_loop(test)


def test_scan(on_loop: Callable[[Test], None], tmp_path: pathlib.Path) -> None:
    for number in range(300):
        (tmp_path / f"file{number}").touch()

    async def test() -> None:
        async with aio.scan(tmp_path) as scan:
            assert len([entry async for entry in scan]) == 300
        async with aio.scan(tmp_path) as scan:
            assert len([path async for path in scan.paths()]) == 300
        async with aio.scan(tmp_path) as scan:
            assert sum([len(batch) async for batch in scan.batches()]) == 300

    on_loop(test)


def test_scan_left_early(on_loop: Callable[[Test], None], tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()

    async def test() -> None:
        async with aio.scan(tmp_path) as scan:
            async for entry in scan:
                assert entry.name == "file"
                break

    on_loop(test)
