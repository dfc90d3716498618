"""Roots that are none, arguments that make no sense, directories that cannot be read."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.trees import plant, walked

import fastos


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastos.scan(tmp_path / "missing")
    assert caught.value.filename == tmp_path / "missing"


def test_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        fastos.scan(tmp_path / "file")


def test_root_is_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        fastos.scan(tmp_path / "link")


def test_root_is_a_loop(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError) as caught:
        fastos.scan(tmp_path / "link")
    assert caught.value.errno == errno.ELOOP


def test_root_is_a_link_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    plant(tmp_path / "real", 1, 2)
    (tmp_path / "link").symlink_to("real")
    assert sorted(fastos.scan(tmp_path / "link").paths()) == walked(tmp_path / "link")


def test_empty_root() -> None:
    with pytest.raises(FileNotFoundError):
        fastos.scan("")


@pytest.mark.parametrize("root", [None, 3, 1.5, ["."], object()])
def test_root_of_the_wrong_type(root: object) -> None:
    with pytest.raises(TypeError):
        fastos.scan(root)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"fields": "size"}, TypeError),
        ({"fields": ("sise",)}, ValueError),
        ({"min_depth": -1}, ValueError),
        ({"max_depth": -1}, ValueError),
        ({"max_depth": "1"}, TypeError),
        ({"threads": 0}, ValueError),
        ({"threads": 1.5}, TypeError),
        ({"max_entries": 0}, ValueError),
        ({"max_seconds": -1}, ValueError),
        ({"max_seconds": float("nan")}, ValueError),
        ({"on_error": "ignore"}, ValueError),
        ({"where": "*.py"}, TypeError),
        ({"prune": 3}, TypeError),
        ({"root": "a\0b"}, ValueError),
    ],
)
def test_arguments_that_make_no_sense(options: dict, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        fastos.scan(**options)


def as_user(ids: tuple[int, int], question: Callable[[], object]) -> str:
    """The repr of what the question answers, asked by a forked child as that user."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = "the child failed"
        try:
            os.setgroups([])
            os.setgid(ids[1])
            os.setuid(ids[0])
            answer = repr(question())
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(pid, 0)
    return answer


@pytest.fixture
def half_closed_tree() -> Iterator[Path]:
    """A tree of which an ordinary user may read all but one directory."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        plant(root, 1, 2)
        (root / "closed").mkdir()
        (root / "closed" / "secret").touch()
        (root / "closed").chmod(0)
        yield root


@pytest.mark.root
@pytest.mark.parametrize("way", ["collect", "raise", "call", "root"])
def test_unreadable_directory_is_an_error_in_its_place(
    half_closed_tree: Path, ordinary_user: tuple[int, int], way: str
) -> None:
    root = half_closed_tree
    list(fastos.scan(root))  # what is imported late is imported by root

    def collect() -> object:
        scan = fastos.scan(root)
        found = len(list(scan.paths()))
        return found, [(type(error).__name__, error.filename) for error in scan.errors], scan.stats.errors

    def call() -> object:
        seen: list[OSError] = []
        scan = fastos.scan(root, on_error=seen.append)
        return len(list(scan)), [error.filename for error in seen], scan.errors

    def raised(options: dict, top: Path) -> object:
        try:
            return list(fastos.scan(top, **options))
        except PermissionError as error:
            return os.fspath(error.filename)

    closed, count = str(root / "closed"), len(walked(root)) - 1
    questions = {
        "collect": (collect, (count, [("PermissionError", closed)], 1)),
        "call": (call, (count, [closed], [])),
        "raise": (lambda: raised({"on_error": "raise"}, root), closed),
        "root": (lambda: raised({}, root / "closed"), closed),
    }
    question, expected = questions[way]
    assert as_user(ordinary_user, question) == repr(expected)


def test_proc_is_survived() -> None:
    scan = fastos.scan("/proc/self", max_depth=3, fields=("size",))
    names = {entry.name for entry in scan}
    assert {"status", "fd", "task"} <= names
    assert all(error.filename.startswith("/proc/self/") for error in scan.errors)
