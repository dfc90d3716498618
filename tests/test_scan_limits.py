"""Few descriptors, great depths, huge directories, strange names."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.trees import plant, walked

import fastos

native = pytest.mark.native


@contextmanager
def limited(descriptors: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def dig(root: Path, levels: int, name: str, files: bool) -> None:
    """A chain of directories, deeper than any path may be long."""
    at = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=at)
        if files:
            os.mkdir("beside", dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


def fill_in(root: Path, name: str) -> None:
    """Removes a chain that is too deep for anything else: takes out the topmost directory, again and again."""
    top, spare = root / name, root / "spare"
    while top.exists():
        top.rename(spare)
        if (spare / name).exists():
            (spare / name).rename(top)
        if (spare / "beside").exists():
            (spare / "beside").rmdir()
        spare.rmdir()
    if (root / "beside").exists():
        (root / "beside").rmdir()


@native
@pytest.mark.parametrize("threads", [1, None, 8, 32])
@pytest.mark.parametrize("descriptors", [10, 16])
def test_few_descriptors(tmp_path: Path, threads: int | None, descriptors: int) -> None:
    plant(tmp_path, 6, 3)
    expected = walked(tmp_path)
    code = (
        "import sys, resource, fastos\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))\n"
        f"scan = fastos.scan(sys.argv[1], threads={threads}, fields=('size',))\n"
        "paths = sorted(entry.path for entry in scan)\n"
        "assert not scan.errors, scan.errors\n"
        "print('\\n'.join(paths))\n"
    )
    output = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert output.stdout.splitlines() == expected


@native
@pytest.mark.parametrize("files", [False, True], ids=["chain", "comb"])
def test_paths_longer_than_the_kernel_takes(tmp_path: Path, files: bool) -> None:
    levels, name = 400, "a-directory-with-a-name-that-is-rather-long"
    dig(tmp_path, levels, name, files)
    try:
        paths = list(fastos.scan(tmp_path).paths())
        assert len(paths) == levels * (1 + files)
        assert max(map(len, paths)) > 4 * 4096
        with limited(24):
            assert sorted(fastos.scan(tmp_path).paths()) == sorted(paths)
        entries = list(fastos.scan(tmp_path, fields=("ino",)))
        assert {entry.depth for entry in entries} == set(range(1, levels + 1))
    finally:
        fill_in(tmp_path, name)


def test_a_root_longer_than_the_kernel_takes_is_refused_as_by_os(tmp_path: Path) -> None:
    """What lies below a root may be of any length; the root itself goes to the kernel as it is given."""
    root = os.path.join(tmp_path, *["directory"] * 500)
    with pytest.raises(OSError) as refused:
        os.scandir(root)
    attempts = [fastos.scan, fastos.du, fastos.stat, lambda path: list(fastos.fwalk(path))]
    for attempt in attempts:
        with pytest.raises(OSError) as error:
            attempt(root)  # type: ignore[operator]
        assert (error.value.errno, error.value.filename) == (refused.value.errno, root)
    told: list[OSError] = []
    assert list(fastos.walk(root, onerror=told.append)) == []
    assert [(error.errno, error.filename) for error in told] == [(refused.value.errno, root)]
    (entry,) = fastos.fts(root)
    assert (entry.info, entry.errno) == (fastos.FTS_NS, refused.value.errno)


@native
def test_ten_thousand_levels(tmp_path: Path) -> None:
    dig(tmp_path, 10_000, "d", files=False)
    try:
        total = deepest = 0
        for batch in fastos.scan(tmp_path).batches():
            total += len(batch)
            batch.release()
        assert total == 10_000
        for path in fastos.scan(tmp_path).paths():
            deepest = max(deepest, len(path))
        assert deepest == len(str(tmp_path)) + 2 * 10_000
    finally:
        fill_in(tmp_path, "d")


def test_one_huge_directory(memory_path: Path) -> None:
    count = 300_000
    root = os.fspath(memory_path)
    for number in range(count):
        os.close(os.open(f"{root}/{number}", os.O_CREAT | os.O_WRONLY))
    assert {int(os.path.basename(path)) for path in fastos.scan(root).paths()} == set(range(count))
    sizes = [entry.size for entry in fastos.scan(root, fields=("size",), threads=4)]
    assert sizes == [0] * count


def test_every_byte_in_names(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    names += [b"a" + bytes([byte]) + b"b" for byte in range(1, 256) if byte != ord("/")]
    names += [b"..a", b"...", b"\xff" * 255, "\u00fc\U0001f600".encode()]
    for name in names:
        os.close(os.open(root + b"/" + name, os.O_CREAT | os.O_WRONLY))
    expected = sorted(root + b"/" + name for name in names)
    assert sorted(fastos.scan(root).paths()) == expected
    assert sorted(map(os.fsencode, fastos.scan(tmp_path).paths())) == expected
    assert sorted(os.fsencode(entry.name) for entry in fastos.scan(tmp_path)) == sorted(names)
    assert sorted(name for batch in fastos.scan(root).batches() for name in batch.names()) == sorted(names)
    assert [os.fsencode(path) for path in fastos.scan(tmp_path, sort=True).paths()] == expected


def test_two_hundred_at_once(tmp_path: Path) -> None:
    plant(tmp_path, 3, 3)
    expected = set(walked(tmp_path))
    scans = [fastos.scan(tmp_path, threads=2) for _ in range(200)]
    iterators = [iter(scan) for scan in scans]
    first = [next(iterator).path for iterator in iterators]
    for path, iterator in zip(first, iterators, strict=True):
        assert {path, *(entry.path for entry in iterator)} == expected


@native
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A wide tree: many directories pending at once, many entries passed through, little kept."""
    for number in range(50):
        (tmp_path / str(number)).mkdir()
        for below in range(300):
            (tmp_path / str(number) / f"directory-number-{below}").mkdir()
    code = (
        "import sys, resource, fastos\n"
        "list(fastos.scan('.', max_depth=1))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(1 for _ in fastos.scan(sys.argv[1], fields=('size', 'mtime_ns')))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    output = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    count, grown = map(int, output.stdout.split())
    assert count == 50 + 15_000
    assert grown < 32 << 10
    shutil.rmtree(tmp_path)
