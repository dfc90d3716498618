"""rmtree does what shutil.rmtree does, faster, at any depth, and never outside the tree."""

import contextlib
import errno
import inspect
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fastos


def make_tree(root: Path, width: int = 3, depth: int = 3) -> Path:
    root.mkdir()
    for number in range(width):
        (root / f"file{number}").write_bytes(b"x")
        if depth:
            make_tree(root / f"directory{number}", width, depth - 1)
    (root / "link").symlink_to("/nowhere")
    os.mkfifo(root / "fifo")
    return root


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_removes_a_tree(tmp_path: Path, kind: type) -> None:
    root = make_tree(tmp_path / "tree")
    fastos.rmtree(kind(root))  # type: ignore[arg-type]
    assert not root.exists()


def test_keeps_what_links_point_to(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside")
    root = make_tree(tmp_path / "tree")
    (root / "door").symlink_to(outside)
    fastos.rmtree(root)
    assert (outside / "file0").read_bytes() == b"x"


def test_relative_to_a_descriptor(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fastos.rmtree("tree", dir_fd=directory)
    finally:
        os.close(directory)
    assert os.listdir(tmp_path) == []


def test_every_byte_in_names(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "tree")
    os.mkdir(root)
    for byte in set(range(1, 256)) - {ord("/"), ord(".")}:
        os.mkdir(os.path.join(root, bytes([byte])))
    fastos.rmtree(root)
    assert not os.path.exists(root)


@pytest.mark.native
def test_three_thousand_levels_with_few_descriptors(tmp_path: Path) -> None:
    code = """
import os, resource, sys, fastos
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
os.chdir(sys.argv[1])
os.mkdir("tree"); os.chdir("tree")
for level in range(3000):
    os.mkdir("down"); os.chdir("down")
os.chdir(sys.argv[1])
fastos.rmtree("tree")
assert os.listdir(".") == []
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


@pytest.mark.parametrize("make", ["missing", "file", "link"])
def test_wrong_roots_fail_as_shutil_does(tmp_path: Path, make: str) -> None:
    root = tmp_path / "root"
    if make == "file":
        root.write_bytes(b"")
    elif make == "link":
        (tmp_path / "real").mkdir()
        root.symlink_to("real")
    with pytest.raises(OSError) as theirs:
        shutil.rmtree(root)
    with pytest.raises(OSError) as ours:
        fastos.rmtree(root)
    assert type(ours.value) is type(theirs.value)
    assert ours.value.args == theirs.value.args
    fastos.rmtree(root, ignore_errors=True)


def test_callbacks_are_called_as_shutil_calls_them(tmp_path: Path) -> None:
    calls: list[tuple[object, object]] = []
    name = "onexc" if sys.version_info >= (3, 12) else "onerror"
    fastos.rmtree(tmp_path / "missing", **{name: lambda function, path, error: calls.append((function, path))})
    assert [path for _, path in calls] == [tmp_path / "missing"]


@pytest.mark.parametrize("argument", [None, 3, ["x"]])
def test_wrong_types_fail_as_shutil_does(argument: object) -> None:
    with pytest.raises((TypeError, OSError)) as theirs:
        shutil.rmtree(argument)  # type: ignore[call-overload]
    with pytest.raises(type(theirs.value)):
        fastos.rmtree(argument)  # type: ignore[arg-type]


def test_never_leaves_the_tree_while_directories_are_swapped_for_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    kept = [outside / f"kept{number}" for number in range(50)]
    for path in kept:
        path.write_bytes(b"")
    stop = threading.Event()
    root = tmp_path / "tree"

    def swap() -> None:
        while not stop.is_set():
            for number in range(20):
                try:
                    os.rename(root / f"d{number}", root / f"moved{number}")
                    os.symlink(outside, root / f"d{number}")
                except OSError:
                    pass

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(30):
            root.mkdir(exist_ok=True)
            for number in range(20):
                with contextlib.suppress(FileExistsError):  # a link by now
                    (root / f"d{number}").mkdir()
            fastos.rmtree(root, ignore_errors=True)
    finally:
        stop.set()
        thread.join()
    assert all(path.exists() for path in kept)


def test_avoids_symlink_attacks() -> None:
    assert fastos.rmtree.avoids_symlink_attacks == shutil.rmtree.avoids_symlink_attacks  # type: ignore[attr-defined]


def test_unknown_arguments_remove_nothing(tmp_path: Path) -> None:
    assert [*inspect.signature(fastos.rmtree).parameters] == [*inspect.signature(shutil.rmtree).parameters]
    tree = make_tree(tmp_path / "tree")
    with pytest.raises(TypeError):
        fastos.rmtree(tree, nonsense=1)  # type: ignore[call-arg]
    if sys.version_info < (3, 12):
        with pytest.raises(TypeError):
            fastos.rmtree(tree, onexc=print)  # type: ignore[call-arg]
    assert any(tree.iterdir())


@pytest.mark.parametrize("name", ["unlink", "rmdir", "scandir", "open"])
def test_functions_of_os_that_a_test_replaced_are_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "tree")

    def fail(*args: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, "replaced")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(PermissionError, match="replaced"):
            fastos.rmtree(tree)
        fastos.rmtree(tree, ignore_errors=True)
    assert tree.exists()


def test_a_name_that_cannot_be_encoded_is_what_it_is_to_shutil() -> None:
    def told(rmtree: Callable[..., None]) -> list[object]:
        called: list[object] = []
        try:
            rmtree("\ud800", onerror=lambda function, path, info: called.append((function, path, info[0])))
        except UnicodeEncodeError as error:  # from 3.13 on
            called.append(str(error))
        return called

    assert told(fastos.rmtree) == told(shutil.rmtree)
