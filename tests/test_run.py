"""run and pipeline: output, input, deadlines, limits, errors, interrupts."""

import itertools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest

import fastos
from fastos import PIPE, STDOUT, _backend
from storms import storm


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def gone(pid: int) -> bool:
    """Whether a process that is not our child has ended (a zombie that init has not reaped yet has)."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while not gone(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


def test_status_and_no_capture() -> None:
    completed = fastos.run(sh("exit 3"))
    assert isinstance(completed, subprocess.CompletedProcess)
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, None, None)
    assert completed.pid > 0
    assert completed.duration > 0
    assert not completed.success


def test_capture_both() -> None:
    completed = fastos.run(sh("echo out; echo err >&2"), capture=True)
    assert (completed.stdout, completed.stderr) == (b"out\n", b"err\n")


def test_capture_one_or_joined() -> None:
    assert fastos.run(sh("echo out"), stdout=PIPE).stdout == b"out\n"
    joined = fastos.run(sh("echo out; echo err >&2"), stdout=PIPE, stderr=STDOUT)
    assert (joined.stdout, joined.stderr) == (b"out\nerr\n", None)


def test_text_translates_newlines() -> None:
    assert fastos.run(["printf", r"a\r\nb\rc\n"], stdout=PIPE, text=True).stdout == "a\nb\nc\n"


def test_encoding_and_errors() -> None:
    assert fastos.run(["printf", r"\344"], stdout=PIPE, encoding="latin-1").stdout == "ä"
    assert fastos.run(["printf", r"\377"], stdout=PIPE, encoding="utf-8", errors="replace").stdout == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        fastos.run(["printf", r"\377"], stdout=PIPE, encoding="utf-8")


@pytest.mark.parametrize("data", [b"bytes", "str", bytearray(b"array"), memoryview(b"view"), b""])
def test_input(data: object) -> None:
    expected = data.encode() if isinstance(data, str) else bytes(data)  # type: ignore[call-overload]
    assert fastos.run(["cat"], input=data, stdout=PIPE).stdout == expected  # type: ignore[arg-type]


def test_input_from_a_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"in a file")
    with open(tmp_path / "file", "rb") as file:
        assert fastos.run(["cat"], input=file, stdout=PIPE).stdout == b"in a file"


def test_input_that_nobody_reads() -> None:
    assert fastos.run(["true"], input=b"x" * 1_000_000).returncode == 0


def test_much_through_both_at_once() -> None:
    size = 100_000_000
    completed = fastos.run(["cat"], input=bytes(size), stdout=PIPE)
    assert len(completed.stdout) == size


def test_check_raises_what_subprocess_raises() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        fastos.run(sh("echo out; exit 7"), capture=True, check=True)
    assert isinstance(caught.value, fastos.CalledProcessError)
    assert (caught.value.returncode, caught.value.output) == (7, b"out\n")
    assert caught.value.completed.pid > 0


def test_killed_by_a_signal() -> None:
    assert fastos.run(sh("kill -TERM $$")).returncode == -signal.SIGTERM


def test_missing_program() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastos.run(["/nowhere/program"])
    assert isinstance(caught.value, fastos.SpawnError)
    assert caught.value.filename == "/nowhere/program"


def test_no_program() -> None:
    with pytest.raises(PermissionError):
        fastos.run(["/etc"])


@pytest.mark.parametrize(
    "options",
    [{"nonsense": 1}, {"input": b"", "stdin": 0}, {"output_limit": -1}, {"capture": True, "stdout": PIPE}],
)
def test_nonsense_is_refused_before_any_work(options: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        fastos.run(["/nowhere/program"], **options)


def test_spawn_options(tmp_path: pathlib.Path) -> None:
    completed = fastos.run(sh("pwd; echo $A"), stdout=PIPE, cwd=tmp_path, env={"A": "b", "PATH": os.defpath})
    assert completed.stdout.decode().split() == [str(tmp_path), "b"]


def test_timeout_gives_what_there_was() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        fastos.run(sh("echo early; exec sleep 60"), capture=True, timeout=0.2)
    assert isinstance(caught.value, fastos.TimeoutExpired)
    assert caught.value.output == b"early\n"
    assert caught.value.completed.returncode == -signal.SIGKILL
    assert caught.value.completed.timed_out


def test_timeout_without_streams() -> None:
    with pytest.raises(fastos.TimeoutExpired):
        fastos.run(["sleep", "60"], timeout=0.05)


def test_timeout_that_does_not_come() -> None:
    assert fastos.run(sh("cat; echo end"), input=b"x", capture=True, timeout=60).stdout == b"xend\n"


def test_timeout_kills_the_tree() -> None:
    with pytest.raises(fastos.TimeoutExpired) as caught:
        fastos.run(sh("sleep 60 & echo $!; sleep 60"), stdout=PIPE, timeout=0.3)
    wait_until_gone(int(caught.value.output))


def test_timeout_ends_the_wait_for_a_pipe_that_an_orphan_holds() -> None:
    with pytest.raises(fastos.TimeoutExpired) as caught:
        fastos.run(sh("sleep 60 & echo $!"), stdout=PIPE, timeout=0.3)
    assert caught.value.completed.returncode == 0  # it had ended by itself
    os.kill(int(caught.value.output), signal.SIGKILL)


def test_timeout_kills_a_stopped_child() -> None:
    with pytest.raises(fastos.TimeoutExpired):
        fastos.run(sh("kill -STOP $$"), timeout=0.2)


def test_kill_tree_false_kills_the_child_alone() -> None:
    with pytest.raises(fastos.TimeoutExpired) as caught:
        fastos.run(sh("sleep 60 & echo $!; wait"), stdout=PIPE, timeout=0.3, kill_tree=False)
    orphan = int(caught.value.output)
    assert not gone(orphan)
    os.kill(orphan, signal.SIGKILL)


def test_limit_drops_the_rest() -> None:
    completed = fastos.run(sh("head -c 300000 /dev/zero; echo done >&2"), capture=True, output_limit=1000)
    assert len(completed.stdout) == 1000
    assert completed.stderr == b"done\n"
    assert completed.truncated
    assert completed.success


def test_output_just_at_the_limit_is_not_truncated() -> None:
    assert not fastos.run(sh("printf 12345"), stdout=PIPE, output_limit=5).truncated


def test_limit_ends_output_without_end() -> None:
    completed = fastos.run(["yes"], stdout=PIPE, output_limit=1 << 16, kill_at_limit=True)
    assert completed.truncated
    assert len(completed.stdout) == 1 << 16


@pytest.mark.native
def test_usage() -> None:
    usage = fastos.run(sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).rusage
    assert usage is not None
    assert usage.ru_utime + usage.ru_stime > 0
    assert usage.ru_maxrss > 100


def test_a_thief_takes_the_status() -> None:
    if _backend.NAME == "stdlib":
        pytest.skip("subprocess says 0 for a status that it lost")
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel is the thief
    try:
        completed = fastos.run(["true"])
    finally:
        signal.signal(signal.SIGCHLD, previous)
    assert completed.lost
    assert not completed.success


class Interrupted(Exception):
    pass


def test_an_exception_from_a_signal_handler_kills_the_tree(tmp_path: pathlib.Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(*_: object) -> None:
        raise Interrupted

    def send() -> None:
        while not pid_file.exists() or not pid_file.read_text().endswith("\n"):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        with pytest.raises(Interrupted):
            fastos.run(sh(f"sleep 60 & echo $! > {pid_file}; wait"), stdout=PIPE)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, previous)
    wait_until_gone(int(pid_file.read_text()))


def test_signals_in_between_lose_nothing() -> None:
    """A storm of a signal whose handler returns."""
    with storm(0.001) as signals:
        for timeout in (None, 60):
            completed = fastos.run(sh("cat; sleep 0.1; echo end"), input=b"x" * 200_000, stdout=PIPE, timeout=timeout)
            assert len(completed.stdout) == 200_004
    assert signals.count > 0


# -- pipeline


def test_pipeline() -> None:
    first, second, third = fastos.pipeline([["printf", r"b\na\nb\n"], ["sort"], ["uniq", "-c"]], text=True)
    assert (first.stdout, second.stdout) == (None, None)
    assert third.stdout.split() == ["1", "a", "2", "b"]


def test_pipeline_with_input_and_own_options() -> None:
    _, last = fastos.pipeline([["cat"], fastos.Command(sh("cat; echo $A"), env={"A": "x"})], input="in\n")
    assert last.stdout == b"in\nx\n"


def test_pipeline_ends_a_stage_that_nobody_reads() -> None:
    yes, head = fastos.pipeline([["yes"], ["head", "-n1"]], check=True)
    assert yes.returncode == -signal.SIGPIPE
    assert head.stdout == b"y\n"


def test_pipeline_check_names_the_first_that_failed() -> None:
    with pytest.raises(fastos.CalledProcessError) as caught:
        fastos.pipeline([sh("exit 5"), ["cat"]], check=True)
    assert caught.value.returncode == 5


def test_pipeline_with_a_missing_program() -> None:
    with pytest.raises(FileNotFoundError):
        fastos.pipeline([["yes"], ["/nowhere/program"], ["cat"]])


def test_pipeline_timeout() -> None:
    with pytest.raises(fastos.TimeoutExpired):
        fastos.pipeline([["sleep", "60"], ["cat"]], timeout=0.2)


def test_pipeline_of_nothing() -> None:
    with pytest.raises(ValueError):
        fastos.pipeline([])


def test_no_descriptor_but_three_in_the_children() -> None:
    script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    _, last = fastos.pipeline([["true"], [sys.executable, "-c", script]], text=True)
    assert last.stdout == "[0, 1, 2]\n"


@pytest.mark.parametrize(
    ("option", "instead"), [("capture_output", "capture=True"), ("shell", "/bin/sh"), ("preexec_fn", "options of")]
)
def test_options_of_subprocess_are_told_from_ours(option: str, instead: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected option '{option}'; use .*{instead}"):
        fastos.run(["true"], **{option: True})  # type: ignore[arg-type]


def test_a_pipeline_interrupted_anywhere() -> None:
    """Between any two steps of the interpreter: no descriptor is lost, or closed twice."""
    left = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return step

    def enter(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_name not in ("_start_stages", "_add_pipe", "_close_ends"):
            return None
        frame.f_trace_opcodes = True
        return step

    before = sys.gettrace()
    for point in itertools.count():  # 0: nothing is raised, but 3.12 tells of the steps only from the second time on
        left = point
        sys.settrace(enter)
        try:
            fastos.pipeline([["true"]] * 3)
            if point > 0:
                break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
    assert point > 50  # how many steps there are depends on the interpreter
