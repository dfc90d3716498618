"""What a scan delivers: entries, paths, batches."""

import gc
import os
import pickle
import socket
import stat
import threading
from pathlib import Path

import pytest
from tests.trees import plant, walked

import fastos


def by_bytes(paths):
    return sorted(paths, key=os.fsencode)


def test_paths_are_those_of_walk(tmp_path: Path) -> None:
    planted = plant(tmp_path, 3, 4)
    scan = fastos.scan(tmp_path)
    paths = list(scan.paths())
    assert by_bytes(paths) == walked(tmp_path)
    assert scan.stats.entries == planted == len(paths)
    assert scan.stats.errors == 0
    assert scan.stats.directories == 1 + sum(path.is_dir() for path in tmp_path.rglob("*"))
    assert scan.errors == []
    assert scan.stats.elapsed_ns > 0


@pytest.mark.parametrize("make", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_kind_of_paths_follows_the_root(tmp_path: Path, make) -> None:
    plant(tmp_path, 1, 2)
    root = make(str(tmp_path))
    kind = bytes if isinstance(root, bytes) else str
    assert all(type(path) is kind for path in fastos.scan(root).paths())
    assert all(type(entry.path) is kind and type(entry.name) is kind for entry in fastos.scan(root))
    for batch in fastos.scan(root).batches():
        assert {type(path) for path in batch.paths()} == {kind} == {type(name) for name in batch.names()}
    assert by_bytes(fastos.scan(root).paths()) == walked(root)


@pytest.mark.parametrize("suffix", ["", "/", "//"])
def test_root_is_joined_as_walk_does(tmp_path: Path, suffix: str) -> None:
    plant(tmp_path, 1, 2)
    root = str(tmp_path) + suffix
    assert by_bytes(fastos.scan(root).paths()) == walked(root)


def test_default_root_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, 1, 2)
    monkeypatch.chdir(tmp_path)
    assert by_bytes(fastos.scan().paths()) == walked(".")
    (entry,) = fastos.scan(max_depth=0, min_depth=0)
    assert (entry.path, entry.name, entry.depth, entry.type) == (".", ".", 0, "directory")


def test_entries_tell_what_stat_tells(tmp_path: Path) -> None:
    plant(tmp_path, 2, 3, b"content")
    fields = ("size", "blocks", "mode", "uid", "gid", "nlink", "ino", "dev", "mtime_ns", "ctime_ns")
    names = {"size": "st_size", "blocks": "st_blocks", "mtime_ns": "st_mtime_ns", "ctime_ns": "st_ctime_ns"}
    count = 0
    for entry in fastos.scan(tmp_path, fields=fields):
        status = os.lstat(entry.path)
        for name in fields:
            assert getattr(entry, name) == getattr(status, names.get(name, f"st_{name}")), (entry, name)
        assert entry.depth == len(Path(entry.path).relative_to(tmp_path).parts)
        assert entry.name == os.path.basename(entry.path)
        assert entry.type == ("directory" if stat.S_ISDIR(status.st_mode) else "file")
        count += 1
    assert count == len(walked(tmp_path))


def test_times_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (entry,) = fastos.scan(tmp_path, fields=("atime_ns", "btime_ns"))
    assert entry.atime_ns == os.stat(entry.path).st_atime_ns
    assert entry.btime_ns == -1 or abs(entry.btime_ns - entry.atime_ns) < 10**9


def test_every_type(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "symlink").symlink_to("directory")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found = {entry.name: entry.type for entry in fastos.scan(tmp_path)}
    expected = {name: name for name in ("file", "directory", "symlink", "fifo", "socket")}
    assert found == {**expected, "dangling": "symlink"}


def test_devices_are_named() -> None:
    kinds = {entry.name: entry.type for entry in fastos.scan("/dev", max_depth=1)}
    assert kinds["null"] == "char"


def test_unasked_field_says_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (entry,) = fastos.scan(tmp_path, fields=("mtime_ns",))
    with pytest.raises(AttributeError, match=r"'size' was not asked for; .*fields=\('mtime_ns', 'size',"):
        entry.size  # noqa: B018
    with pytest.raises(AttributeError):
        entry.nothing  # noqa: B018


def test_entry_is_a_path_and_answers_like_a_direntry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path)
    entries = {entry.name: entry for entry in fastos.scan(tmp_path, fields=("size",))}
    with open(entries["file"]) as stream:
        assert stream.read() == "text"
    assert entries["file"].is_file()
    assert not entries["file"].is_dir()
    assert entries["link"].is_symlink()
    assert entries["link"].is_dir()
    assert not entries["link"].is_dir(follow_symlinks=False)
    assert entries["file"].stat().st_size == 4
    assert repr(entries["file"]) == f"<Entry {str(tmp_path / 'file')!r}, file, size=4>"
    again = pickle.loads(pickle.dumps(entries["file"]))
    assert (again.path, again.size, again.depth) == (entries["file"].path, 4, 1)
    assert isinstance(again, fastos.Entry)


def test_batches_are_columns(tmp_path: Path) -> None:
    planted = plant(tmp_path, 2, 4, b"abc")
    total, count, paths = 0, 0, []
    for batch in fastos.scan(tmp_path, fields=("size", "mode")).batches():
        with batch:
            sizes, modes = batch.column("size"), batch.column("mode")
            assert (sizes.format, modes.format) == ("q", "I")
            assert len(batch) == len(sizes) == len(modes) == len(batch.names()) == len(batch.types())
            files = [size for size, kind in zip(sizes, batch.types(), strict=True) if kind == "file"]
            total, count = total + sum(files), count + len(batch)
            paths += batch.paths()
            with pytest.raises(KeyError, match="fields="):
                batch.column("mtime_ns")
        with pytest.raises(ValueError, match="released"):
            sizes[0]
        with pytest.raises(ValueError, match="released"):
            batch.paths()
    assert count == planted
    assert by_bytes(paths) == walked(tmp_path)
    assert total == sum(os.path.getsize(path) for path in walked(tmp_path) if os.path.isfile(path))


def test_batch_is_not_pulled_away_from_a_user(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"file{number}").write_bytes(b"x" * number)
    (batch,) = fastos.scan(tmp_path, fields=("size",)).batches()
    view = memoryview(batch.column("size"))
    batch.release()
    del batch
    gc.collect()
    assert sorted(view) == list(range(50))


def test_batches_outlive_their_scan(tmp_path: Path) -> None:
    plant(tmp_path, 2, 4)
    with fastos.scan(tmp_path) as scan:
        batch = next(scan.batches())
    assert batch.paths()
    assert len(batch.names()) == len(batch)


def test_one_pass(tmp_path: Path) -> None:
    scan = fastos.scan(tmp_path)
    assert list(scan) == []
    for again in (lambda: iter(scan), scan.paths, scan.batches):
        with pytest.raises(RuntimeError, match="once"):
            again()


@pytest.mark.parametrize("least", [0, 1, 2, 3])
@pytest.mark.parametrize("most", [0, 1, 2, None])
def test_depths(tmp_path: Path, least: int, most: int | None) -> None:
    plant(tmp_path, 3, 2)

    def depth(path):
        return len(Path(path).relative_to(tmp_path).parts)

    everything = [str(tmp_path), *walked(tmp_path)]
    expected = [path for path in everything if depth(path) >= least and (most is None or depth(path) <= most)]
    found = list(fastos.scan(tmp_path, min_depth=least, max_depth=most))
    assert by_bytes(entry.path for entry in found) == by_bytes(expected)
    assert all(entry.depth == depth(entry.path) for entry in found)
    batches = [
        path for batch in fastos.scan(tmp_path, min_depth=least, max_depth=most).batches() for path in batch.paths()
    ]
    assert by_bytes(batches) == by_bytes(expected)


@pytest.mark.parametrize("threads", [1, 2, 7, 64])
def test_any_number_of_threads_sees_the_same(tmp_path: Path, threads: int) -> None:
    plant(tmp_path, 4, 3)
    scan = fastos.scan(tmp_path, threads=threads, fields=("size",))
    assert by_bytes(entry.path for entry in scan) == walked(tmp_path)
    assert scan.stats.threads_peak <= threads


def test_a_directory_comes_before_what_is_in_it(tmp_path: Path) -> None:
    plant(tmp_path, 3, 3)
    seen = {str(tmp_path)}
    for path in fastos.scan(tmp_path, threads=1).paths():
        assert os.path.dirname(path) in seen
        seen.add(path)


def test_sorted_by_the_bytes_of_the_path(tmp_path: Path) -> None:
    for name in ("a", "a-b", "a.txt", "a0", "B", "\u00e9", "\udcff"):
        (tmp_path / name).mkdir()
        plant(tmp_path / name, 1, 3)
    expected = walked(tmp_path)
    for threads in (1, 2, 8):
        assert list(fastos.scan(tmp_path, sort=True, threads=threads).paths()) == expected
    entries = list(fastos.scan(tmp_path, sort=True, fields=("ino",), min_depth=0))
    assert [entry.path for entry in entries] == [str(tmp_path), *expected]
    assert all(entry.ino == os.lstat(entry.path).st_ino for entry in entries)
    assert [path for batch in fastos.scan(tmp_path, sort=True).batches() for path in batch.paths()] == expected


@pytest.mark.native
def test_relative_to_a_directory_descriptor(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    plant(tmp_path / "root", 2, 2)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        found = list(fastos.scan("root", dir_fd=descriptor, fields=("size",)))
    finally:
        os.close(descriptor)
    assert by_bytes(str(tmp_path / entry.path) for entry in found) == walked(tmp_path / "root")


def test_progress_tells_the_counts(tmp_path: Path) -> None:
    planted = plant(tmp_path, 3, 4)
    seen: list[fastos.Stats] = []
    list(fastos.scan(tmp_path, progress=seen.append))
    assert seen[-1].entries == planted
    assert [stats.entries for stats in seen] == sorted(stats.entries for stats in seen)


def test_small_trees_start_no_thread(tmp_path: Path) -> None:
    plant(tmp_path, 0, 20)
    before = threading.active_count()
    scan = fastos.scan(tmp_path)
    list(scan)
    assert threading.active_count() == before
    assert scan.stats.entries == 20


def test_repr_tells_the_state(tmp_path: Path) -> None:
    scan = fastos.scan(tmp_path)
    assert repr(scan) == f"<fastos.Scan of {str(tmp_path)!r}, not begun>"
    list(scan)
    assert repr(scan).endswith("closed>")


def test_mistakes_are_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="byte order of the paths"):
        fastos.scan(tmp_path, sort="size")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="progress is a callable"):
        fastos.scan(tmp_path, progress=5)  # type: ignore[arg-type]
    with fastos.scan(tmp_path) as scan:
        pass
    with pytest.raises(RuntimeError, match="closed before it was iterated"):
        list(scan)


def test_what_is_no_column_has_a_method(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for batch in fastos.scan(tmp_path).batches():
        for name, method in (("type", "types"), ("name", "names"), ("path", "paths")):
            with pytest.raises(KeyError, match=rf"Batch\.{method}\(\)"):
                batch.column(name)
            assert len(getattr(batch, method)()) == 1
