"""popen, popen2, popen3, popen4."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import fastos

pytestmark = pytest.mark.skipif(os.name != "posix", reason="commands of a POSIX shell")


def test_popen_reads() -> None:
    pipe = fastos.popen('echo "to stdout"', "r")
    assert pipe.read() == "to stdout\n"
    assert pipe.close() is None
    assert pipe.close() is None


def test_popen_writes(tmp_path: Path) -> None:
    pipe = fastos.popen(f"cat > {tmp_path}/file", "w")
    pipe.write("to stdin\n")
    assert pipe.close() is None
    assert (tmp_path / "file").read_text() == "to stdin\n"


@pytest.mark.parametrize("command", ["exit 0", "exit 3", "kill -9 $$", "no-such-command-here 2>/dev/null"])
def test_popen_status_is_that_of_the_standard_one(command: str) -> None:
    theirs = os.popen(command)
    theirs.read()
    ours = fastos.popen(command)
    ours.read()
    assert ours.close() == theirs.close()


def test_popen_iterates_and_is_a_context_manager() -> None:
    with fastos.popen("printf 'a\\nb\\n'") as lines:
        assert next(lines) == "a\n"
        assert list(lines) == ["b\n"]
    assert lines.closed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((b"true",), TypeError), ((["true"],), TypeError), (("true", "x"), ValueError), (("true", "r", 0), ValueError)],
)
def test_popen_refuses_what_the_standard_one_does(arguments: tuple[object, ...], error: type[Exception]) -> None:
    for function in (os.popen, fastos.popen):
        with pytest.raises(error):
            function(*arguments)  # type: ignore[operator]


@pytest.mark.parametrize("command", ["cat -", ["cat", "-"], ("cat",), b"cat -", [b"cat", Path("-")]])
def test_popen2(command: Any) -> None:
    stdin, stdout = fastos.popen2(command)
    stdin.write("through stdin to stdout")
    assert stdin.close() is None
    assert stdout.read() == "through stdin to stdout"
    assert stdout.close() is None


def test_popen3() -> None:
    stdin, stdout, stderr = fastos.popen3('cat -; echo ";to stderr" 1>&2')
    stdin.write("through stdin to stdout")
    stdin.close()
    assert stdout.read() == "through stdin to stdout"
    stdout.close()
    assert stderr.read() == ";to stderr\n"
    assert stderr.close() is None


def test_popen4() -> None:
    stdin, both = fastos.popen4('cat -; echo ";to stderr" 1>&2')
    stdin.write("through stdin to stdout")
    stdin.close()
    assert both.read() == "through stdin to stdout;to stderr\n"
    assert both.close() is None


@pytest.mark.parametrize("last", [0, 1, 2])
def test_the_last_close_has_the_status(last: int) -> None:
    streams = fastos.popen3("exit 5")
    for number, stream in enumerate(streams):
        if number != last:
            assert stream.close() is None
    assert streams[last].close() == 5 << 8


def test_bytes_and_buffering() -> None:
    stdin, stdout = fastos.popen2(["cat"], "b", 0)
    stdin.write(b"\xff\x00")
    assert stdout.read(2) == b"\xff\x00"
    stdin.close()
    stdout.close()


def test_line_buffering_sends_each_line() -> None:
    stdin, stdout = fastos.popen2(["cat"], "t", 1)
    stdin.write("a line\n")
    assert stdout.readline() == "a line\n"
    stdin.close()
    stdout.close()


def test_a_sequence_meets_no_shell() -> None:
    stdin, stdout = fastos.popen2([sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; *"])
    stdin.close()
    assert stdout.read() == "$HOME; *\n"
    stdout.close()


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastos.popen2(["fastos-no-such-program"])
    assert caught.value.filename == "fastos-no-such-program"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((7,), TypeError), (([],), ValueError), (("true", "x"), ValueError), (("true", "t", 0), ValueError)],
)
def test_wrong_arguments_start_nothing(arguments: tuple[object, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        fastos.popen2(*arguments)  # type: ignore[arg-type]


def test_the_child_has_no_other_descriptor() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        stdin, stdout = fastos.popen2(f"test -e /dev/fd/{writing} && echo there")
        stdin.close()
        assert stdout.read() == ""
        stdout.close()
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_dropped_stream_leaves_no_zombie_for_long() -> None:
    streams = fastos.popen2("cat")
    pid = streams[0]._tail.child.pid
    del streams
    gc.collect()
    from tests.conftest import settle

    def reaped() -> bool:
        with fastos.popen(":") as pipe:  # the next one reaps what was dropped before
            pipe.read()
        return not Path(f"/proc/{pid}").exists()

    assert settle(reaped)


@pytest.mark.parametrize("command", ["exit 3", "true", "kill -9 $$"])
def test_a_second_close_tells_the_same(command: str) -> None:
    ours, theirs = fastos.popen(command), os.popen(command)
    assert [ours.close(), ours.close()] == [theirs.close(), theirs.close()]


@pytest.mark.parametrize("arguments", [("true", "r", "x"), ("true", "r", 1.5), ("a\0b",)], ids=repr)
def test_wrong_arguments_fail_before_there_is_a_child_and_as_with_os(arguments: tuple[str, str, int]) -> None:
    raised = []
    for popen in (fastos.popen, os.popen):
        with pytest.raises((TypeError, ValueError)) as caught:
            popen(*arguments)
        raised.append((caught.type, str(caught.value)))
    assert raised[0] == raised[1]
