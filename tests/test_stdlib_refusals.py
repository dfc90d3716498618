"""What the standard-library backend cannot do is refused by name, before any work, and nothing is left behind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastos
from fastos import _backend

pytestmark = pytest.mark.skipif(_backend.COMPILED, reason="the compiled core can do all of it")


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda root, fd: fastos.scan(root, ignore="git"), "ignore= needs the compiled core"),
        (lambda root, fd: fastos.scan(root, ignore=["*.o"]), "ignore= needs the compiled core"),
        (lambda root, fd: fastos.scan(root, ignore=fastos.Ignore(["*.o"])), "ignore= needs the compiled core"),
        (lambda root, fd: fastos.scan(".", dir_fd=fd), "dir_fd needs openat, which the standard-library backend"),
        (lambda root, fd: fastos.run(["true"], nice=1), "nice: the standard-library backend cannot do this"),
    ],
    ids=["git", "patterns", "Ignore", "dir_fd", "nice"],
)
def test_refused(tmp_path: Path, attempt: Callable[[Path, int], object], message: str) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(NotImplementedError, match=message):
            attempt(tmp_path, directory)
    finally:
        os.close(directory)
