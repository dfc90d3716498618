"""Symbolic links: not followed by default; followed, every directory once, loops reported."""

import errno
import os
from pathlib import Path

from tests.trees import plant, walked

import fastos


def test_links_are_not_followed_by_default(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    plant(tmp_path / "real", 1, 2)
    (tmp_path / "link").symlink_to("real")
    assert sorted(fastos.scan(tmp_path).paths()) == walked(tmp_path)
    kinds = {entry.name: entry.type for entry in fastos.scan(tmp_path)}
    assert kinds["link"] == "symlink"


def test_followed_links_are_their_targets(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "inside").write_bytes(b"12345")
    (tmp_path / "root" / "directory").symlink_to("../target")
    (tmp_path / "root" / "file").symlink_to("../target/inside")
    (tmp_path / "root" / "dangling").symlink_to("nowhere")
    scan = fastos.scan(tmp_path / "root", follow_symlinks=True, fields=("size",))
    found = {os.path.relpath(entry.path, tmp_path / "root"): entry for entry in scan}
    assert {name: entry.type for name, entry in found.items()} == {
        "directory": "directory",
        "directory/inside": "file",
        "file": "file",
        "dangling": "symlink",
    }
    assert found["file"].size == found["directory/inside"].size == 5
    assert found["dangling"].size == len("nowhere")
    assert scan.errors == []


def test_loops_end_and_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "b" / "self").symlink_to(".")
    scan = fastos.scan(tmp_path, follow_symlinks=True)
    paths = {os.path.relpath(path, tmp_path) for path in scan.paths()}
    assert paths == {"a", "a/b", "a/b/up", "a/b/self"}
    assert {(error.errno, os.path.relpath(error.filename, tmp_path)) for error in scan.errors} == {
        (errno.ELOOP, "a/b/up"),
        (errno.ELOOP, "a/b/self"),
    }


def test_a_loop_above_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "root" / "out").symlink_to("..")
    scan = fastos.scan(tmp_path / "root", follow_symlinks=True)
    paths = {os.path.relpath(path, tmp_path / "root") for path in scan.paths()}
    assert paths == {"out", "out/root", "out/beside"}
    assert [(error.errno, os.path.relpath(error.filename, tmp_path / "root")) for error in scan.errors] == [
        (errno.ELOOP, "out/root")
    ]


def test_mutual_links_take_linear_time(tmp_path: Path) -> None:
    """Naive followers see 2**30 paths here."""
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
    for number in range(30):
        for other in range(30):
            (tmp_path / f"d{number}" / f"l{other}").symlink_to(f"../d{other}")
    scan = fastos.scan(tmp_path, follow_symlinks=True)
    assert len(list(scan.paths())) == 30 + 900
    assert scan.stats.directories == 31
    assert len(scan.errors) == 900


def test_real_directories_win_over_links_to_them(tmp_path: Path) -> None:
    (tmp_path / "0link").symlink_to("real")
    (tmp_path / "real" / "deep").mkdir(parents=True)
    scan = fastos.scan(tmp_path, follow_symlinks=True)
    assert {os.path.relpath(path, tmp_path) for path in scan.paths()} == {"0link", "real", "real/deep"}
    assert [os.path.relpath(error.filename, tmp_path) for error in scan.errors] == ["0link"]
