"""`fastos scan` as a program: what it writes, where, and how it ends."""

import base64
import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from fastos.cli import _filters, _listing
from fastos.cli import main as fastos

COMMAND = [sys.executable, "-m", "fastos", "scan"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.py", "b.C", "src/c.py", "src/deep/d.py", ".hidden/e.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name) * 100)
    (tmp_path / "link").symlink_to("a.py")
    os.utime(tmp_path / "a.py", (1_000_000, 1_000_000))
    return tmp_path


def scan(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *map(os.fsdecode, map(str, arguments))]
    return subprocess.run(command, check=False, cwd=cwd, capture_output=True, timeout=60)


def listed(tree: Path, *arguments: object) -> set[str]:
    result = scan(*arguments, cwd=tree)
    assert (result.stderr, result.returncode) == (b"", 0)
    return {line.removeprefix("./") for line in os.fsdecode(result.stdout).splitlines()}


EVERYTHING = {"a.py", "b.C", "src", "src/c.py", "src/deep", "src/deep/d.py", ".hidden", ".hidden/e.py", "link"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], EVERYTHING),
        (["--min-depth", 0], EVERYTHING | {"."}),
        (["--name", "*.py", "--type", "f"], {"a.py", "src/c.py", "src/deep/d.py", ".hidden/e.py"}),
        (["-name", "*.py", "-type", "f", "-maxdepth", 1], {"a.py"}),
        (["--name", "a*", "--name", "b*"], {"a.py", "b.C"}),
        (["--iname", "*.c"], {"b.C"}),
        (["--regex", "^[ab]\\."], {"a.py", "b.C"}),
        (["--path", "src/**/*.py"], {"src/c.py", "src/deep/d.py"}),
        (["-e", "py", "-e", ".C", "-d", 1], {"a.py", "b.C"}),
        (["-t", "d,l"], {"src", "src/deep", ".hidden", "link"}),
        (["-t", "f", "--size", "+500", "--size", "-1k"], {"src/c.py"}),
        (["-t", "f", "--size", "400"], {"a.py"}),
        (["-t", "f", "--older", "2000-01-01"], {"a.py"}),
        (["-t", "f", "--newer", "a.py", "-d", 1], {"b.C"}),
        (["-t", "f", "--newer", "1h", "-d", 1], {"b.C"}),
        (["--no-hidden"], EVERYTHING - {".hidden", ".hidden/e.py"}),
        (["-name", "*.C", "-print"], {"b.C"}),
        (["--newer", "9" * 400 + "y"], EVERYTHING),
        (["--prune", "src"], EVERYTHING - {"src/c.py", "src/deep", "src/deep/d.py"}),
        (["--prune", "src/deep"], EVERYTHING - {"src/deep/d.py"}),
        (["-t", "f", "--user", os.geteuid()], EVERYTHING - {"src", "src/deep", ".hidden", "link"}),
        (["-type", "f", "-user", os.geteuid()], EVERYTHING - {"src", "src/deep", ".hidden", "link"}),
    ],
)
def test_filters(tree: Path, arguments: list[object], expected: set[str]) -> None:
    assert listed(tree, *arguments) == expected


@pytest.mark.native
def test_exclude_and_git(tree: Path) -> None:
    assert listed(tree, "-E", "*.py", "-E", "!c.py") == EVERYTHING - {"a.py", "src/deep/d.py", ".hidden/e.py"}
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    (tree / ".gitignore").write_text("src\n")
    assert listed(tree, "-g") == {".gitignore", "a.py", "b.C", ".hidden", ".hidden/e.py", "link"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-path", "./src/*"], "find's -path is not taken; write --path (below the root, and * stops at a slash)"),
        (["-empty"], "find's -empty is not taken; write --type f --size 0"),
        (["-exec", "rm", "{}", ";"], "find's -exec is not taken; write fastos run: "),
        (["-delete"], "find's -delete is not taken"),
        (["-type", "f", "-o", "-type", "d"], "find's -o is not taken"),
        (["--path", "./src/*"], "no part of it is empty, '.' or '..'"),
        (["--prune", "src/"], "no part of it is empty, '.' or '..'"),
        (["--nonsense"], "fastos scan: error: unrecognized arguments: --nonsense"),
    ],
)
def test_what_would_be_taken_for_something_else(tree: Path, arguments: list[str], message: str) -> None:
    result = scan(*arguments, cwd=tree)
    assert (result.stdout, result.returncode) == (b"", 2)
    assert message in result.stderr.decode()


def test_several_roots(tree: Path) -> None:
    assert listed(tree, "src", ".hidden") == {"src/c.py", "src/deep", "src/deep/d.py", ".hidden/e.py"}


def test_sorted(tree: Path) -> None:
    lines = scan("--sort", cwd=tree).stdout.splitlines()
    assert lines == sorted(lines)
    assert len(lines) == len(EVERYTHING)


def test_any_name_comes_through(tmp_path: Path) -> None:
    names = [b"new\nline", b"\xff\xfe", b" ", b"tab\t", "é".encode(), b"\x1b[31m"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    assert sorted(scan("-0", "src", cwd=tmp_path).stdout.split(b"\0")) == [b""]
    output = scan("-0", cwd=tmp_path).stdout
    assert sorted(output.split(b"\0")[:-1]) == sorted(b"./" + name for name in names)
    records = [json.loads(line) for line in scan("--json", "--fields", "size", cwd=tmp_path).stdout.splitlines()]
    paths = {base64.b64decode(r["path_bytes"]) if "path_bytes" in r else r["path"].encode() for r in records}
    assert paths == {b"./" + name for name in names}
    assert all(record["type"] == "file" and record["size"] == 0 for record in records)


def test_long(tree: Path) -> None:
    line = scan("-l", "--name", "a.py", cwd=tree).stdout.decode()
    assert line.startswith("-rw")
    assert line.endswith(" ./a.py\n")
    assert " 400 1970-01-12 " in line


def test_count_and_stats(tree: Path) -> None:
    result = scan("--count", "--stats", cwd=tree)
    assert result.stdout == b"%d\n" % len(EVERYTHING)
    assert result.stderr.startswith(b"fastos scan: 9 entries, 0 errors, 4 directories read in ")


# -- errors


def test_errors_are_named_and_counted(tree: Path) -> None:
    result = scan("missing", "a.py", ".", "--stats", cwd=tree)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == len(EVERYTHING)
    messages = result.stderr.decode().splitlines()
    assert messages[:2] == ["fastos scan: missing: No such file or directory", "fastos scan: a.py: Not a directory"]
    assert "2 errors" in messages[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "big"],
        ["--type", "x"],
        ["--newer", "someday"],
        ["--user", "no-such-user"],
        ["--group", "no-such-group"],
        ["--regex", "("],
        ["--name", "a/b"],
        ["--threads", "0"],
        ["--max-depth", "-1"],
        ["--fields", "weight"],
        ["--fields", "size"],
        ["--json", "--count"],
        ["--nonsense"],
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fastos(["scan", *arguments])
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fastos(["scan", "--help"])
    text = capsys.readouterr().out
    assert all(code in text for code in ("130", "141", "exit codes"))


# -- the words


@pytest.mark.parametrize(
    ("text", "bytes_"), [("1", 1), ("1c", 1), ("2k", 2048), ("3M", 3 << 20), ("1GiB", 1 << 30), ("1t", 1 << 40)]
)
def test_sizes(text: str, bytes_: int) -> None:
    assert repr(_filters.size(text)) == f"field.size == {bytes_}"
    assert repr(_filters.size(f"+{text}")) == f"field.size > {bytes_}"
    assert repr(_filters.size(f"-{text}")) == f"field.size < {bytes_}"


def test_moments(tmp_path: Path) -> None:
    assert abs(time.time_ns() - 2 * 86400 * 10**9 - _filters.moment("2d")) < 60 * 10**9
    assert _filters.moment("2024-01-31T00:00:00+00:00") == 1706659200 * 10**9
    assert _filters.moment(str(tmp_path)) == tmp_path.stat().st_mtime_ns


def test_a_terminal_is_spared() -> None:
    assert _listing.printable(b"a\n\x1b[31m\xffb\x7f") == "a\\n\\e[31m\\xffb\\x7f"
    assert _listing.printable("é 日".encode()) == "é 日"


# -- terminals, pipes, signals


def test_on_a_terminal(tree: Path) -> None:
    (tree / "esc\x1b[31m").touch()
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    try:
        subprocess.run([*COMMAND, "--name", "esc*"], cwd=tree, stdout=follower, stderr=follower, check=True, timeout=60)
        assert os.read(leader, 4096) == b"./esc\\e[31m\r\n"
    finally:
        os.close(leader)
        os.close(follower)


def test_closed_pipe(tree: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(COMMAND, check=False, cwd=tree, stdout=write_end, stderr=subprocess.PIPE, timeout=60)
    finally:
        os.close(write_end)
    assert (result.returncode, result.stderr) == (141, b"")


def test_interrupted_in_a_full_pipe(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / f"{number:0>200}").touch()
    process = subprocess.Popen([*COMMAND, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        # There is more to write than a pipe holds, so once it has begun the program comes to wait in write().
        while (
            process.poll() is None
            and not struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))[0]
        ):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None
        assert b"interrupted: " in process.stderr.read()


def test_progress_only_without_a_listing_on_the_terminal(tree: Path) -> None:
    leader, follower = os.openpty()
    try:
        result = subprocess.run(COMMAND, check=False, cwd=tree, stdout=subprocess.PIPE, stderr=follower, timeout=60)
        assert len(result.stdout.splitlines()) == len(EVERYTHING)
        os.set_blocking(leader, False)
        with contextlib.suppress(BlockingIOError):
            assert os.read(leader, 4096) == b""  # too quick to be worth a line
    finally:
        os.close(leader)
        os.close(follower)
