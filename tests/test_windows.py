"""fastos where there is no POSIX: every POSIX-only name is taken away, and the main jobs are done all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("windows_like.py")


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    (tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "a.txt").write_bytes(b"abc")
    (tmp_path / "one" / "b.txt").write_bytes(b"12345")
    (tmp_path / "one" / "two" / "c.txt").touch()
    return tmp_path


CHECKS = ["names", "scan", "walk", "du", "run", "spawn", "supervise", "commands"]


@pytest.mark.parametrize("check", CHECKS)
def test_without_posix(check: str, small_tree: Path) -> None:
    environment = {**os.environ, "FASTOS_BACKEND": "stdlib"}
    command = [sys.executable, "-W", "error", SCRIPT, check, small_tree]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
