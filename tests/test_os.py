"""The drop-in os. CPython's own tests run on it by `make conformance`; here is what they do not ask."""

import os as standard
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import fastos
from fastos import _backend, os

OWN = os._OWN_NAMES


def test_every_name_is_there() -> None:
    assert set(vars(standard)) - OWN <= set(vars(os))
    assert set(standard.__all__) <= set(os.__all__)
    assert {"popen2", "popen3", "popen4"} <= set(os.__all__)
    assert all(hasattr(os, name) for name in os.__all__)


def test_star_import() -> None:
    code = "from fastos.os import *; popen4; getpid; environ; path.join; print(sorted(globals()))"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ["environ", "path", "DirEntry", "PathLike", "error", "stat_result", "sys", "sep"])
def test_what_has_an_identity_keeps_it(name: str) -> None:
    assert getattr(os, name) is getattr(standard, name)


def test_submodule_imports() -> None:
    code = (
        "import fastos.os.path\n"
        "from fastos.os.path import join\n"
        "from fastos.os import path\n"
        "import fastos, os\n"
        "assert path is os.path is fastos.os.path and join is os.path.join\n"
        "assert os is not fastos.os\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_listed_functions_differ() -> None:
    """The rest is the interpreter's: the same object, or a standard Python function in this module's namespace."""
    different = set()
    for name, value in vars(standard).items():
        ours = getattr(os, name, None)
        if name in OWN or ours is value or name == "__all__" or name.startswith("supports_"):
            continue
        if getattr(ours, "__code__", None) is not getattr(value, "__code__", 0):
            different.add(name)
    assert different == (set(os._TAKEN) if _backend.COMPILED else set())


def test_the_supports_sets_hold_these_functions() -> None:
    for name in ("supports_dir_fd", "supports_fd", "supports_effective_ids", "supports_follow_symlinks"):
        theirs, ours = getattr(standard, name), getattr(os, name)
        assert {function.__name__ for function in theirs} == {function.__name__ for function in ours}
        assert all(getattr(os, function.__name__) in ours for function in theirs)


def test_rmtree_stays_safe_when_shutil_meets_the_drop_in() -> None:
    import shutil

    code = (
        "import sys, fastos.os\n"
        "sys.modules['os'] = fastos.os\n"
        "sys.modules.pop('shutil', None)\n"
        "import shutil\n"
        "print(shutil.os is fastos.os, shutil.rmtree.avoids_symlink_attacks)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert output.split() == ["True", str(shutil.rmtree.avoids_symlink_attacks)]


def test_what_is_replaced_here_is_replaced_for_its_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = []

    def mkdir(path: object, mode: int = 0o777) -> None:
        made.append(path)
        standard.mkdir(path, mode)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "mkdir", mkdir)
    os.makedirs(tmp_path / "a" / "b")
    assert [str(path) for path in made][-2:] == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    made.clear()
    standard.makedirs(tmp_path / "c")
    assert not made


def test_functions_can_be_pickled() -> None:
    for name in ("walk", "makedirs", "getcwd", "popen2", "get_exec_path"):
        function = getattr(os, name)
        assert pickle.loads(pickle.dumps(function)) is function


def test_environment_is_shared() -> None:
    with fastos.environment(FASTOS_TEST="x"):
        assert os.getenv("FASTOS_TEST") == standard.getenv("FASTOS_TEST") == "x"
        assert os.getenvb(b"FASTOS_TEST") == b"x"


@pytest.mark.skipif(standard.name != "posix", reason="spawn of POSIX systems")
def test_popen_functions() -> None:
    assert os.popen2 is fastos.popen2
    assert os.popen4 is fastos.popen4
    with os.popen("echo x") as pipe:
        assert pipe.read() == "x\n"
    assert os.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", "exit 5") == 5
