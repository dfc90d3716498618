"""The commands where their standard streams are closed, full, cut off or of another encoding: a word, no traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fastos.cli.ctl import Client

COMMANDS = {
    "scan": ["scan", "."],
    "du": ["du", "."],
    "run": ["run", "echo", ":::", "a"],
    "dry-run": ["run", "--dry-run", "echo", ":::", "a"],
}
ASCII = {
    **os.environ,
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tr\u00e4e").mkdir()
    (tmp_path / "tr\u00e4e" / "file").write_bytes(b"x")
    return tmp_path


def shell(tree: Path, command: str, redirections: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
    words = " ".join([sys.executable, "-m", "fastos", *COMMANDS[command], redirections])
    return subprocess.run(["sh", "-c", words], capture_output=True, cwd=tree, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">&-", b"Bad file descriptor"), ("> /dev/full", b"No space left on device")]
)
def test_output_that_cannot_be_written(tree: Path, command: str, redirection: str, reason: bytes) -> None:
    done = shell(tree, command, redirection)
    word = COMMANDS[command][0].encode()
    assert (done.returncode, done.stderr) == (1, b"fastos %b: standard output: %b\n" % (word, reason))


@pytest.mark.parametrize("command", COMMANDS)
def test_without_input_and_error_output(tree: Path, command: str) -> None:
    done = shell(tree, command, "<&- 2>&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == shell(tree, command, "").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_without_any_stream(tree: Path, command: str) -> None:
    assert shell(tree, command, "<&- >&- 2>&-").returncode == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_messages_that_nobody_can_have(tree: Path, command: str) -> None:
    assert shell(tree, command, "> /dev/full 2> /dev/full", env=ASCII).returncode == 1
    assert shell(tree, command, "2> /dev/full").returncode == 0
    missing = [sys.executable, "-m", "fastos", command, "missing"]
    if command in ("scan", "du"):
        with open("/dev/full", "w") as full:
            assert subprocess.run(missing, stderr=full, cwd=tree, check=False, timeout=60).returncode == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_is_gone(tree: Path, command: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as closed:
        words = [sys.executable, "-m", "fastos", *COMMANDS[command]]
        done = subprocess.run(words, stdout=closed, stderr=subprocess.PIPE, cwd=tree, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_encoding_without_the_characters(tree: Path, command: str) -> None:
    done = shell(tree, command, "", env=ASCII)
    assert (done.returncode, done.stderr) == (0, b"")
    if command == "du":
        assert b"`- tr" in done.stdout
        assert "\u2588".encode() not in done.stdout


def test_an_unknown_backend_is_named(tree: Path) -> None:
    done = shell(tree, "scan", "", env={**os.environ, "FASTOS_BACKEND": "warp"})
    assert done.returncode == 2
    assert done.stderr == b"fastos scan: FASTOS_BACKEND='warp' is unknown; use one of native, posix, stdlib\n"


def test_an_empty_root_is_seen_in_the_message(tree: Path) -> None:
    for command in ("scan", "du"):
        words = [sys.executable, "-m", "fastos", command, ""]
        done = subprocess.run(words, capture_output=True, cwd=tree, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (1, b"fastos %b: '': No such file or directory\n" % command.encode())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["du", "--top", "-1"], "--top: '-1' is no number from 0 on"),
        (["du", "-d", "x"], "'x' is no number from 0 on"),
        (["scan", "--threads", "-3"], "'-3' is no positive number"),
        (["scan", "--max-depth", "-1"], "'-1' is no number from 0 on"),
        (["run", "-j", "0", "true"], "--jobs: '0' is no positive number"),
        (["run", "--timeout", "-1", "true"], "--timeout: '-1' is no number of seconds"),
        (["run", "--timeout", "nan", "true"], "--timeout: 'nan' is no number of seconds"),
        (["run", "--retries", "-1", "true"], "--retries: '-1' is no number from 0 on"),
        (["run", "-a", "file", "true", ":::", "x"], "either ::: or --arg-file"),
        (["ctl", "wait-ready", "--timeout", "-1"], "--timeout: '-1' is no number of seconds"),
        (["ctl", "logs", "-n", "-1"], "'-1' is no number from 0 on"),
    ],
)
def test_numbers_that_make_no_sense(words: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastos", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 1e-6), (2.5, 2.5), (1e10, None), (1e300, None)])
def test_a_connection_waits_as_long_as_it_is_told(seconds: float, expected: float | None) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client.__new__(Client)
        client._socket = ours
        client.give_up_after(seconds)
        assert ours.gettimeout() == expected
