"""Scans that end early, are interrupted, are forked, or see the tree change under them."""

import _thread
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.conftest import descriptors, native_threads, settle
from tests.trees import plant, walked

import fastos


def test_dropped_half_way(tmp_path: Path) -> None:
    plant(tmp_path, 4, 4)
    before = descriptors()
    for way in ("__iter__", "paths", "batches"):
        iterator = iter(getattr(fastos.scan(tmp_path, threads=4), way)())
        next(iterator)
        del iterator
    gc.collect()
    assert settle(lambda: descriptors() == before)


def test_dropped_before_it_began(tmp_path: Path) -> None:
    before = descriptors()
    scan = fastos.scan(tmp_path)
    del scan
    assert settle(lambda: descriptors() == before)


def test_closed_in_the_loop(tmp_path: Path) -> None:
    plant(tmp_path, 3, 4)
    scan = fastos.scan(tmp_path)
    for count, _ in enumerate(scan):
        if count == 3:
            scan.close()
    assert count < len(walked(tmp_path))
    assert scan.stats.entries >= 4
    scan.close()
    assert list(scan.errors) == []


def test_context_manager_closes(tmp_path: Path) -> None:
    plant(tmp_path, 3, 3)
    before = native_threads()
    with fastos.scan(tmp_path, threads=3) as scan:
        paths = scan.paths()
        next(paths)
    assert settle(lambda: native_threads() == before)
    assert scan.stats.entries > 0


@pytest.mark.native
def test_closed_by_another_thread(tmp_path: Path) -> None:
    plant(tmp_path, 4, 4)
    for _ in range(20):
        scan = fastos.scan(tmp_path, threads=2)
        iterator = scan.paths()
        next(iterator)
        closer = threading.Thread(target=scan.close)
        closer.start()
        for _ in iterator:
            pass
        closer.join()


def test_errors_of_the_callers_leave_nothing_behind(tmp_path: Path) -> None:
    plant(tmp_path, 3, 4)
    with pytest.raises(ZeroDivisionError):
        for _ in fastos.scan(tmp_path, threads=4):
            raise ZeroDivisionError


def test_keyboard_interrupt_in_the_loop(tmp_path: Path) -> None:
    plant(tmp_path, 3, 4)
    with pytest.raises(KeyboardInterrupt):
        for _ in fastos.scan(tmp_path, threads=2):
            _thread.interrupt_main()


@pytest.mark.native
def test_interrupt_while_waiting_for_the_tree(tmp_path: Path) -> None:
    """The consumer waits for a tree that goes on for ever: a signal still gets through."""
    code = (
        "import fastos, sys\n"
        # Everything is imported before: CPython exits with -2 if the interrupt came in an exec() of a string (as
        # collections.namedtuple has it), even where it was caught.
        "list(fastos.scan('/proc', fields=('size',), max_depth=1).paths())\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True:\n"
        "        list(fastos.scan('/proc', fields=('size',), threads=4).paths())\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(30) == 0


def test_fork_while_a_scan_runs(tmp_path: Path) -> None:
    plant(tmp_path, 4, 4)
    expected = walked(tmp_path)
    scan = fastos.scan(tmp_path, threads=4)
    iterator = scan.paths()
    found = [next(iterator)]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            own = sorted(fastos.scan(tmp_path, threads=2).paths())
            try:
                for _ in iterator:
                    pass
                code = 2 if own == expected else 3
            except RuntimeError:
                code = 0 if own == expected else 4
            scan.close()
            del iterator, scan
            gc.collect()
        finally:
            os._exit(code)
    found += iterator
    _, status = os.waitpid(pid, 0)
    assert sorted(found) == expected
    # What was already in the iterator may be used in the child; going on may not.
    assert os.waitstatus_to_exitcode(status) in (0, 2)


@pytest.mark.native
def test_fork_with_batches_in_hand(tmp_path: Path) -> None:
    plant(tmp_path, 3, 4)
    scan = fastos.scan(tmp_path, fields=("size",), threads=2)
    batches = list(scan.batches())
    views = [batch.column("size") for batch in batches]
    pid = os.fork()
    if pid == 0:
        total = sum(map(sum, views))
        del views
        for batch in batches:
            batch.release()
        os._exit(0 if total >= 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sum(map(sum, views)) > 0


def test_a_tree_that_changes_meanwhile(tmp_path: Path) -> None:
    """Directories removed, renamed and replaced by links: no crash, no entry from outside, no descriptor left."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").touch()
    (outside / "directory0").mkdir()
    (outside / "directory0" / "secret").touch()
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            place = root / f"d{number % 20}"
            moved = tmp_path / f"moved{number}"
            try:
                place.mkdir()
                (place / "directory0").mkdir()
                (place / "directory0" / "file").touch()
            except FileExistsError:
                place.rename(moved)
                place.symlink_to(outside)
                place.unlink()
            except OSError:
                pass

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for round_ in range(60):
            scan = fastos.scan(root, threads=1 + round_ % 4, fields=("size",) if round_ % 2 else ())
            for entry in scan:
                assert entry.name != "secret"
            assert all(isinstance(error, OSError) and error.filename for error in scan.errors)
    finally:
        stop.set()
        changer.join()


def test_directory_replaced_by_a_link_between_batches(tmp_path: Path) -> None:
    """What is found as a directory and is a link when its turn comes is an error, not a way out."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    (root / "a").mkdir(parents=True)
    scan = fastos.scan(root, max_entries=1)
    assert list(scan.paths()) == [str(root / "a")]
    (root / "a").rmdir()
    (root / "a").symlink_to(outside)
    scan = fastos.scan(frontier=scan.frontier)
    assert list(scan.paths()) == []
    assert [error.filename for error in scan.errors] == [str(root / "a")]
