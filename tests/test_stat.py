"""stat and stat_many say what os.stat says."""

import os
import pickle
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

import fastos

NAMES = ["file", "dir", "link", "broken", "fifo", "socket", "sparse"]
ST = [name for name in dir(os.stat(".")) if name.startswith("st_")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("text")
    os.utime("file", ns=(1, 1_600_000_000_123_456_789))
    Path("dir").mkdir()
    Path("link").symlink_to("file")
    Path("broken").symlink_to("nowhere")
    os.mkfifo("fifo")
    with open("sparse", "wb") as file:
        file.truncate(1 << 30)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return tmp_path


def assert_same(ours: fastos.Stat, theirs: os.stat_result) -> None:
    assert tuple(ours) == tuple(theirs)
    assert ours == theirs
    for name in ST:
        if name not in ("st_birthtime", "st_birthtime_ns"):
            assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("follow", [True, False])
def test_every_field(place: Path, name: str, follow: bool) -> None:
    if name == "broken" and follow:
        return
    for path in (name, os.fsencode(name), Path(name)):
        assert_same(fastos.stat(path, follow_symlinks=follow), os.stat(path, follow_symlinks=follow))


def test_descriptors(place: Path) -> None:
    descriptor = os.open("dir", os.O_RDONLY)
    (place / "dir" / "below").write_text("x")
    try:
        assert_same(fastos.stat(descriptor), os.stat(descriptor))
        assert_same(fastos.stat("below", dir_fd=descriptor), os.stat("below", dir_fd=descriptor))
        assert fastos.stat_many(["below"], dir_fd=descriptor)["size"].tolist() == [1]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("missing", {}),
        (b"missing", {}),
        (Path("missing"), {}),
        ("broken", {}),
        ("file/below", {}),
        ("", {}),
        ("a\0b", {}),
        (10_000, {}),
        (-1, {}),
        (1, {"follow_symlinks": False}),
        (0, {"dir_fd": 0}),
        (1.5, {}),
        (None, {}),
        ("x" * 5000, {}),
        ("missing", {"dir_fd": 10_000}),
        ("missing", {"dir_fd": "x"}),
    ],
    ids=repr,
)
def test_errors_are_os_stats(place: Path, path: Any, options: Any) -> None:
    def outcome(function: Any) -> Any:
        with pytest.raises((OSError, ValueError, TypeError)) as caught:
            function(path, **options)
        return type(caught.value), str(caught.value), getattr(caught.value, "filename", None)

    assert outcome(fastos.stat) == outcome(os.stat)


@pytest.mark.linux_native
def test_birth_time(place: Path) -> None:
    found = fastos.stat("file")
    if found.btime_ns is not None:  # the file system tells
        assert found.btime_ns > found.st_mtime_ns
        assert found.st_birthtime_ns == found.btime_ns
        assert found.st_birthtime == pytest.approx(found.btime_ns / 1e9)


def test_it_can_be_pickled_and_shown(place: Path) -> None:
    found = fastos.stat("file")
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert again.btime_ns == found.btime_ns
    assert repr(found).startswith("Stat(st_mode=")
    with pytest.raises(AttributeError):
        found.size  # noqa: B018


def test_many_columns(place: Path) -> None:
    names = NAMES * 400
    fields = [name for name in fastos._stat.FIELDS if name not in ("btime_ns", "type", "atime_ns")]  # type: ignore[attr-defined]
    for threads in (None, 1, 5):
        found = fastos.stat_many(names, fields, follow_symlinks=False, threads=threads)
        assert len(found) == len(names)
        assert not found.errors
        for field in fields:
            expected = [getattr(os.lstat(name), f"st_{field}") for name in NAMES] * 400
            assert found[field].tolist() == expected, field
    types = fastos.stat_many(NAMES, ["type"], follow_symlinks=False)["type"].tolist()
    assert types == [1, 2, 3, 3, 4, 5, 1]


def test_many_errors(place: Path) -> None:
    found = fastos.stat_many(["file", "missing", Path("broken"), b"file/x", "a\0b", ""], ("size", "btime_ns"))
    assert sorted(found.errors) == [1, 2, 3, 4, 5]
    assert isinstance(found.errors[1], FileNotFoundError)
    assert found.errors[1].filename == "missing"
    assert isinstance(found.errors[3], NotADirectoryError)
    assert found["size"].tolist() == [4, 0, 0, 0, 0, 0]
    assert found["btime_ns"].tolist()[1:] == [-1] * 5
    assert len(fastos.stat_many([])) == 0


def test_many_usage_errors() -> None:
    with pytest.raises(ValueError, match="unknown field 'colour'"):
        fastos.stat_many(["x"], ("colour",))
    with pytest.raises(ValueError, match="threads"):
        fastos.stat_many(["x"], threads=0)
    with pytest.raises(TypeError):
        fastos.stat_many([1])  # type: ignore[list-item]


def test_any_byte(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as top:
        names = [os.fsencode(top) + b"/x" + bytes([byte]) for byte in range(1, 256) if byte != ord("/")]
        for name in names:
            open(name, "wb").close()
        assert not fastos.stat_many(names).errors
        assert not fastos.stat_many([os.fsdecode(name) for name in names]).errors


def test_many_more_than_one_call_looks_at(tmp_path: Path) -> None:
    paths = [tmp_path / f"file{i}" for i in range(5000)]
    for i, path in enumerate(paths):
        if i % 7:
            path.write_bytes(b"x" * (i % 13))
    found = fastos.stat_many(paths, ("size", "mtime_ns"), threads=2)
    assert list(found["size"]) == [i % 13 if i % 7 else 0 for i in range(5000)]
    assert list(found.errors) == list(range(0, 5000, 7))
    assert all(isinstance(error, FileNotFoundError) for error in found.errors.values())


@pytest.mark.parametrize("path", ["/tmp", b"/tmp", Path("/tmp")])
def test_stat_many_takes_several_paths(path: object) -> None:
    with pytest.raises(TypeError, match="paths are several: for one, write"):
        fastos.stat_many(path)  # type: ignore[arg-type]
