"""The command line of `fastos run`."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest


def cli(*words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fastos", "run", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_arguments() -> None:
    done = cli("-k", "-j2", "echo", "x", "{}", "y", ":::", "a", "b c")
    assert (done.stdout, done.returncode) == ("x a y\nx b c y\n", 0)


def test_argument_appended() -> None:
    assert cli("-k", "--", "echo", "-n", ":::", "a", "b").stdout == "ab"


def test_lines_are_commands() -> None:
    assert cli("-k", stdin="echo 'a  b'\n\necho c\n").stdout == "a  b\nc\n"


def test_blank_lines_and_comments() -> None:
    done = cli("-k", stdin="# three\necho a\n  \n\n \t# more\necho '#b'\n")
    assert (done.stdout, done.stderr, done.returncode) == ("a\n#b\n", "", 0)


def test_lines_are_arguments() -> None:
    assert cli("-k", "--", "echo", "<{}>", stdin="a b\nc\n").stdout == "<a b>\n<c>\n"


def test_nul_terminated(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "arguments"
    file.write_bytes(b"a\nb\0c\0")
    assert cli("-k", "-0", "-a", str(file), "--", "printf", "[%s]").stdout == "[a\nb][c]"


def test_shell() -> None:
    assert cli("-k", "--shell", "echo {} | tr a-z A-Z", ":::", "it's", "b").stdout == "IT'S\nB\n"


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 9", 123), ("exit 255", 124), ("kill -TERM $$", 125)],
)
def test_exit_codes(script: str, code: int) -> None:
    assert cli("--", "sh", "-c", script, ":::", "x", "y").returncode == code


def test_exit_codes_of_what_does_not_start() -> None:
    assert cli("/etc", ":::", "x").returncode == 126
    done = cli("/nowhere/program", ":::", "x")
    assert done.returncode == 127
    assert "No such file" in done.stderr
    done = cli("-a", "/nowhere/file", "--", "echo")
    assert (done.returncode, done.stderr) == (1, "fastos run: /nowhere/file: No such file or directory\n")


def test_timeout() -> None:
    assert cli("--timeout", "0.1", "sleep", ":::", "60").returncode == 123


def test_retries_and_results(tmp_path: pathlib.Path) -> None:
    results = tmp_path / "results.jsonl"
    once = f"test -e {tmp_path}/{{}} || {{ touch {tmp_path}/{{}}; exit 1; }}; echo {{}}"
    done = cli("--shell", "--retries", "2", "--results", str(results), once, ":::", "a", "b")
    assert done.returncode == 0
    lines = sorted(map(json.loads, results.read_text().splitlines()), key=lambda line: line["index"])
    assert [(line["index"], line["attempts"], line["returncode"]) for line in lines] == [(0, 2, 0), (1, 2, 0)]
    assert lines[0]["stdout"] == "a\n"
    assert lines[0]["duration_s"] > 0


@pytest.mark.parametrize(("file", "reason"), [("/nowhere/file", "No such file"), ("/dev/full", "No space")])
def test_results_that_cannot_be_written(file: str, reason: str) -> None:
    done = cli("--results", file, "true", ":::", "a")
    assert done.returncode == 1
    assert done.stderr.startswith(f"fastos run: {file}: {reason}")


def test_a_line_that_is_no_command_is_named() -> None:
    done = cli(stdin="true\necho 'a\ntrue\n")
    assert (done.returncode, done.stderr) == (1, 'fastos run: "echo \'a": No closing quotation\n')


def test_halt() -> None:
    done = cli("-j1", "--halt", "--shell", "echo {}; exit {}", ":::", "1", *["0"] * 200)
    assert done.returncode == 123
    assert len(done.stdout.splitlines()) < 200


def flaky(tmp_path: pathlib.Path, failing: str, times: int) -> list[str]:
    """A command that prints its argument, and has failed so many times for one of them before."""
    tried = tmp_path / "tried"
    script = f'[ "$1" = {failing} ] && echo >>{tried} && [ $(wc -l <{tried}) -le {times} ] && exit 1; echo "$1"'
    return ["sh", "-c", script, "sh"]


@pytest.mark.parametrize("options", [[], ["--halt"]])
def test_retries_keep_the_order_and_start_all(tmp_path: pathlib.Path, options: list[str]) -> None:
    done = cli("-j1", "-k", "--retries", "2", *options, *flaky(tmp_path, "b", 2), ":::", "a", "b", "c", "d")
    assert (done.stdout, done.returncode) == ("a\nb\nc\nd\n", 0)


def test_none_is_lost_where_many_fail_once(tmp_path: pathlib.Path) -> None:
    script = f'case $1 in *0) mkdir {tmp_path}/$1 2>/dev/null && exit 1; esac; echo "$1"'
    numbers = [str(number) for number in range(500)]
    done = cli("-j2", "-k", "--halt", "--retries", "1", "sh", "-c", script, "sh", ":::", *numbers)
    assert (done.stdout.split(), done.returncode) == (numbers, 0)


def test_halt_comes_after_the_last_try(tmp_path: pathlib.Path) -> None:
    done = cli("-j1", "--halt", "--retries", "2", *flaky(tmp_path, "b", 3), ":::", "a", "b", "c", "d")
    assert (done.stdout, done.returncode) == ("a\n", 123)
    assert len((tmp_path / "tried").read_text()) == 3


def test_halt_starts_no_more() -> None:
    done = cli("-j1", "--halt", "sh", "-c", "echo {}; exit {}", ":::", "0", "1", *"0" * 200)
    assert (done.stdout, done.returncode) == ("0\n1\n", 123)


def test_dry_run() -> None:
    assert cli("--dry-run", "rm", "-rf", "{}", ":::", "a b").stdout == "rm -rf 'a b'\n"


def test_summary() -> None:
    assert "commands" in cli("--summary", "true", ":::", "x").stderr


def test_without_rich() -> None:
    code = "import sys; sys.modules['rich'] = None; from fastos.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "run", "--summary", "sh", "-c", "exit 3", ":::", "x"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 123
    assert "failed         1" in done.stderr


def test_interrupted_it_says_how_far_it_came() -> None:
    command = [sys.executable, "-m", "fastos", "run", "-j1", "sh", "-c", "echo {}; exec {}", ":::", "true", "sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "true\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "fastos run: interrupted: 1 finished, 0 of them failed; what ran was killed\n"


def test_interrupt_kills_the_trees(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pid"
    command = [sys.executable, "-m", "fastos", "run", "--shell", f"sleep 60 & echo $! > {file}; wait #", ":::", "x"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while not file.exists() or not file.read_text().endswith("\n"):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=30) == 130
    stat = pathlib.Path(f"/proc/{int(file.read_text())}/stat")
    deadline = time.monotonic() + 10
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
