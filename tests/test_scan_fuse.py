"""Scans of a file system of our own: one that does not tell types, answers late, or not at all."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from benchmarks import fuse
from tests.conftest import native_threads, settle
from tests.trees import walked

import fastos

needs_fuse = pytest.mark.skipif(fuse.why_not() is not None, reason=fuse.why_not() or "")
native = pytest.mark.native
pytestmark = needs_fuse


@contextlib.contextmanager
def hanging(name: str) -> Iterator[Path]:
    with fuse.slow_tree(0, hang=name, tops=4, subs=2, files=3) as (root, _):
        yield root


def until(condition: Callable[[], bool]) -> bool:
    return settle(condition, 20)


def test_types_that_the_file_system_does_not_tell() -> None:
    with fuse.slow_tree(0, unknown=True, tops=3, subs=4, files=5) as (root, entries):
        expected = walked(root)
        assert len(expected) == entries
        scan = fastos.scan(root)
        assert sorted(scan.paths()) == expected
        assert scan.errors == []
        for entry in fastos.scan(root, fields=("size",)):
            status = os.lstat(entry.path)
            assert entry.type == ("directory" if os.path.isdir(entry.path) else "file")
            assert entry.size == status.st_size
        files = fastos.scan(root, where=fastos.field.type == "file")
        assert sorted(files.paths()) == [path for path in expected if os.path.isfile(path)]


@native
@pytest.mark.parametrize("threads", [None, 2])
def test_a_directory_that_hangs_is_named_and_stops_nothing_else(threads: int | None) -> None:
    with hanging("top0001") as root:
        found: list[str] = []
        scan = fastos.scan(root, threads=threads)
        stuck = str(root / "top0001")
        consumer = threading.Thread(target=lambda: found.extend(scan.paths()))
        consumer.start()
        try:
            assert until(lambda: scan.stats.stalled == (stuck,))
            # The other directories are read meanwhile: 4 tops, and what the three that answer hold.
            assert until(lambda: scan.stats.entries == 4 + 3 * (3 + 2 * (1 + 3)))
        finally:
            began = time.monotonic()
            scan.close()
            took = time.monotonic() - began
            consumer.join()
        assert took < 5  # it did not wait for the directory, which never answers
        assert scan.stats.stalled == (stuck,)
        assert stuck in found


@native
def test_a_top_directory_that_hangs_can_be_given_up(tmp_path: Path) -> None:
    def read(root: str) -> None:
        with contextlib.suppress(OSError):  # the mount may be gone before the root itself is read
            list(fastos.scan(root, max_depth=2).paths())

    with hanging("top0000") as root:
        before = native_threads()
        opener = threading.Thread(target=read, args=(root,), daemon=True)
        opener.start()
        assert until(lambda: native_threads() > before)
    # The server is gone: whoever hung has been told.
    opener.join(20)
    assert not opener.is_alive()


@native
def test_a_file_that_hangs_keeps_nothing_back_that_was_found_before() -> None:
    with hanging("file00001.dat") as root:
        found: list[str] = []
        scan = fastos.scan(root, fields=("size",))
        consumer = threading.Thread(target=lambda: found.extend(entry.path for entry in scan))
        consumer.start()
        stuck = str(root / "top0000")
        try:
            assert until(lambda: scan.stats.stalled == (stuck,))
            # All of the three tops that answer, and of the other what was looked at before the file.
            assert until(lambda: len(found) >= 4 + 3 * (3 + 2 * (1 + 3)))
            assert stuck in found
        finally:
            scan.close()
            consumer.join()


def test_a_walk_does_not_hang_in_what_its_caller_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among many directories, so that reading ahead is under way when it comes to the one that hangs."""
    for number in range(60):
        (tmp_path / f"a{number}" / "b").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(5):
        with hanging("top0000") as root:
            seen: list[str] = []
            walker = threading.Thread(target=walk_without, args=(tmp_path, "top0000", seen), daemon=True)
            walker.start()
            walker.join(20)
            assert not walker.is_alive()
            assert str(root / "top0003" / "sub00001") in seen


def walk_without(top: Path, name: str, seen: list[str]) -> None:
    for path, directories, _ in fastos.walk(top):
        seen.append(str(path))
        directories[:] = [each for each in directories if each != name]


@native
@pytest.mark.parametrize("command", ["du", "scan"])
def test_a_command_is_interrupted_while_a_directory_hangs(command: str) -> None:
    """Ctrl-C ends it, with the counts so far. A request that a FUSE server has taken cannot be given up, by no process:
    the thread that waits for it holds the process's remains until the server answers or is gone."""
    with contextlib.ExitStack() as stack:
        with hanging("top0002") as root:
            words = [sys.executable, "-m", "fastos", command, root]
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
            assert until(lambda: any(b"fuse" in place or b"request_wait" in place for place in places(process.pid)))
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.readline().startswith(b"fastos %b: interrupted" % command.encode())
            assert until(lambda: Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b") ")[2][:1] == b"Z")
        assert (process.wait(timeout=60), process.stderr.read()) == (130, b"")


def places(pid: int) -> list[bytes]:
    """Where in the kernel each thread of a process waits."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append((task / "wchan").read_bytes())
    return found
