"""The subprocess drop-in: the standard module's behaviour, and what it adds. `make conformance` has CPython's tests."""

import gc
import io
import os
import select
import signal
import subprocess as standard
import sys
import threading
import time
from pathlib import Path

import pytest

from fastos import _backend, subprocess

PYTHON = sys.executable


def test_every_name_is_there_and_the_exceptions_are_the_same() -> None:
    assert set(dir(standard)) <= set(dir(subprocess))
    assert subprocess.CalledProcessError is standard.CalledProcessError
    assert subprocess.TimeoutExpired is standard.TimeoutExpired
    assert issubclass(subprocess.Popen, standard.Popen)


@pytest.mark.parametrize("shell", [False, True])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("streams", [{}, {"capture_output": True}, {"stdout": -1}, {"stdout": -1, "stderr": -2}])
@pytest.mark.parametrize("given", [None, "wörds\n"])
def test_run_is_the_standard_run(shell: bool, text: bool, streams: dict[str, int], given: str | None) -> None:
    args = "cat; echo to stderr >&2; exit 3" if shell else ["/bin/sh", "-c", "cat; echo err >&2; kill -TERM $$"]
    sent = given if text or given is None else given.encode()
    options = {"shell": shell, "text": text, "input": sent, **streams}
    if given is None:
        options["stdin"] = subprocess.DEVNULL
        del options["input"]
    if not streams:
        options["stdout"] = options["stderr"] = subprocess.DEVNULL
    theirs = standard.run(args, **options)  # type: ignore[call-overload]
    ours = subprocess.run(args, **options)
    assert (ours.args, ours.returncode, ours.stdout, ours.stderr) == (
        theirs.args,
        theirs.returncode,
        theirs.stdout,
        theirs.stderr,
    )
    assert type(ours) is type(theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"input": b"x", "stdin": -1},
        {"capture_output": True, "stdout": -1},
        {"input": "str without text"},
        {"input": b"bytes with text", "text": True},
        {"stdout": -2},
        {"cwd": "/no/such/directory"},
        {"env": {"A=B": "c"}},
        {"nonsense": 1},
        {"stdin": "no file"},
    ],
    ids=str,
)
@pytest.mark.parametrize("args", [[PYTHON, "-c", ""]])
def test_run_refuses_what_the_standard_one_refuses(args: list[str], options: dict[str, object]) -> None:
    def outcome(run: object) -> object:
        try:
            return run(args, **options).returncode  # type: ignore[operator]
        except Exception as error:
            return type(error), str(error)

    assert outcome(subprocess.run) == outcome(standard.run)


@pytest.mark.parametrize("args", [["/no/such/program"], ["no-such-program"], ["/"], [""], ["a\0b"]], ids=repr)
def test_a_program_that_cannot_be_started_fails_as_with_the_standard_module(args: list[str]) -> None:
    raised: list[BaseException] = []
    for module in (standard, subprocess):
        for capture in (False, True):
            with pytest.raises((OSError, ValueError)) as caught:
                module.run(args, capture_output=capture)
            raised.append(caught.value)
    assert len({(type(error), str(error), getattr(error, "filename", None)) for error in raised}) == 1


def test_check_raises_with_the_output() -> None:
    with pytest.raises(standard.CalledProcessError) as caught:
        subprocess.run(["/bin/sh", "-c", "echo out; exit 5"], capture_output=True, check=True)
    assert caught.value.returncode == 5
    assert caught.value.stdout == b"out\n"
    assert subprocess.check_output(["echo", "hi"]) == b"hi\n"
    assert subprocess.getoutput("echo hi") == "hi"


@pytest.mark.native
def test_a_popen_that_is_replaced_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recording(subprocess.Popen):
        made = 0

        def __init__(self, *args: object, **kwargs: object) -> None:
            Recording.made += 1
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess, "Popen", Recording)
    subprocess.run(["true"])
    assert Recording.made == 1


@pytest.mark.native
def test_pidfd_and_rusage() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert process.pidfd is not None
        assert process.rusage is None
        assert not select.select([process.pidfd], [], [], 0)[0]
        process.communicate(b"")
    assert process.pidfd is None
    assert process.rusage.ru_maxrss > 0


@pytest.mark.native
def test_preexec_fn_takes_the_interpreters_own_path(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with subprocess.Popen(["true"], preexec_fn=mark.touch) as process:
        assert process.pidfd is None
        process.wait()
    assert mark.exists()


def test_a_wait_with_timeout_does_not_poll() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        with pytest.raises(standard.TimeoutExpired):
            process.wait(timeout=0.05)
        assert process.poll() is None


@pytest.mark.native  # the standard class of 3.11 does not feed the rest of the input: it waits for ever
def test_communicate_goes_on_after_a_timeout() -> None:
    code = "import sys; data = sys.stdin.buffer.read(); print(len(data), flush=True); sys.stderr.write('done')"
    go = "import sys, time; sys.stdout.write('early'); sys.stdout.flush(); time.sleep(0.4);" + code
    process = subprocess.Popen(
        [PYTHON, "-c", go], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    data = b"x" * 3_000_000
    with pytest.raises(standard.TimeoutExpired):
        process.communicate(data, timeout=0.01)
    output, errors = process.communicate()
    assert output == b"early3000000\n"
    assert errors == b"done"


def test_much_through_all_three_streams() -> None:
    code = "import sys\nfor line in sys.stdin.buffer:\n sys.stdout.buffer.write(line); sys.stderr.buffer.write(line)"
    data = b"0123456789abcde\n" * 400_000
    for run in (subprocess.run, getattr(subprocess, "_run_with_popen", subprocess.run)):
        done = run([PYTHON, "-c", code], input=data, capture_output=True)
        assert done.stdout == data
        assert done.stderr == data


def test_a_child_that_reads_nothing() -> None:
    for run in (subprocess.run, getattr(subprocess, "_run_with_popen", subprocess.run)):
        done = run(["true"], input=b"x" * 1_000_000, capture_output=True)
        assert done.returncode == 0


def test_wait_from_many_threads() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    codes: list[int | None] = []
    threads = [threading.Thread(target=lambda: codes.append(process.wait(timeout=20))) for _ in range(10)]
    for thread in threads:
        thread.start()
    process.stdin.close()  # type: ignore[union-attr]
    for thread in threads:
        thread.join()
    assert codes == [0] * 10


def test_a_stolen_status_counts_as_zero_as_in_the_standard_class() -> None:
    process = subprocess.Popen(["false"])
    os.waitpid(process.pid, 0)
    assert process.wait() == 0


@pytest.mark.native
@pytest.mark.parametrize("streams", [{}, {"stdout": subprocess.PIPE}])
def test_an_interrupted_run_kills_its_process(streams: dict[str, int]) -> None:
    """The process itself sends the signal, again and again: one could come just before the system call that waits."""
    pids: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        if pids:
            return
        pids.extend(int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            subprocess.run(["/bin/sh", "-c", "while kill -USR1 $PPID; do sleep 0.02; done"], **streams)  # type: ignore[call-overload]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(pids) == 1
    assert not os.path.exists(f"/proc/{pids[0]}")


@pytest.mark.native
def test_a_popen_whose_start_is_interrupted_is_reaped_later(monkeypatch: pytest.MonkeyPatch) -> None:
    native_spawn = pytest.importorskip("fastos._backend.native_spawn")
    real, started = native_spawn._start, []

    def start(*arguments: object) -> int:
        started.append(real(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(native_spawn, "_start", start)
        with pytest.warns(ResourceWarning, match="still running"), pytest.raises(KeyboardInterrupt):
            subprocess.Popen(["/bin/sleep", "1000"])
        gc.collect()
    os.kill(started[0], signal.SIGKILL)
    os.waitid(os.P_PID, started[0], os.WEXITED | os.WNOWAIT)
    standard._cleanup()  # type: ignore[attr-defined]
    assert not standard._active  # type: ignore[attr-defined]


def test_signals() -> None:
    process = subprocess.Popen(["sleep", "60"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM
    process.send_signal(signal.SIGTERM)  # it has ended: nothing happens


def test_a_dropped_process_warns_and_is_reaped_later() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    pid, stdin = process.pid, process.stdin
    with pytest.warns(ResourceWarning, match=f"subprocess {pid} is still running"):
        del process
    stdin.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + 20
    while any(waiting.pid == pid for waiting in standard._active):  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        standard._cleanup()  # type: ignore[attr-defined]
        time.sleep(0.005)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_text_files_and_line_buffering() -> None:
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1, encoding="utf-8"
    ) as process:
        assert isinstance(process.stdin, io.TextIOWrapper)
        process.stdin.write("häuser\n")
        assert process.stdout.readline() == "häuser\n"  # type: ignore[union-attr]
        process.stdin.close()


def test_pass_fds() -> None:
    read_end, write_end = os.pipe()
    try:
        code = f"import os; os.write({write_end}, b'through\\n')"
        subprocess.run([PYTHON, "-c", code], pass_fds=[write_end], check=True)
        assert os.read(read_end, 100) == b"through\n"
    finally:
        os.close(read_end)
        os.close(write_end)


def test_audit_event_is_the_standard_one() -> None:
    code = (
        "import sys; from fastos import subprocess; events = []\n"
        "sys.addaudithook(lambda name, args: events.append((name, args)) if name.startswith('subprocess') else None)\n"
        "subprocess.run(['true']); subprocess.Popen(['true'], cwd='/').wait()\n"
        "assert events == [('subprocess.Popen', ('true', ['true'], None, None)),"
        " ('subprocess.Popen', ('true', ['true'], '/', None))], events\n"
    )
    standard.run([PYTHON, "-c", code], check=True)


def test_a_child_that_somebody_else_has_reaped_leaves_no_descriptor() -> None:
    """As asyncio does: it waits for the pid, and tells the Popen."""
    process = subprocess.Popen(["true"])
    assert os.waitpid(process.pid, 0)[0] == process.pid
    process.returncode = 0
    del process  # the fixture counts


def test_asyncio_with_the_drop_in() -> None:
    """asyncio reaps by pid: the Popen beneath it must neither warn nor complain."""
    code = (
        "import asyncio, warnings, fastos\n"
        "warnings.simplefilter('error')\n"
        "fastos.install()\n"
        "async def main():\n"
        "    process = await asyncio.create_subprocess_exec('cat', stdin=-1, stdout=-1)\n"
        "    output, _ = await process.communicate(b'through')\n"
        "    assert output == b'through' and process.returncode == 0\n"
        "asyncio.run(main())\n"
        "fastos.uninstall()\n"
    )
    done = standard.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.skipif(_backend.COMPILED, reason="what the standard-library backend does")
def test_without_the_core_it_is_the_standard_module() -> None:
    assert subprocess.Popen is standard.Popen
    assert subprocess.run is standard.run


ODD: list[dict[str, object]] = [
    {"restore_signals": None},
    {"start_new_session": "yes"},
    {"cwd": 0},
    {"cwd": ""},
    {"cwd": "a\0b"},
    {"executable": "a\0b"},
    {"executable": 5},
    {"pass_fds": ("x",)},
    {"pass_fds": (0, 1, 2), "stdin": -3},
    {"pass_fds": 5},
    {"pass_fds": (-1,)},
    {"umask": "x"},
    {"umask": 0o10022},
    {"umask": -2},
    {"umask": 2**40},
    {"process_group": 2**40},
    {"extra_groups": range(70000)},
    {"stdin": True},
    {"stdin": -4},
    {"stdout": 99},
    {"stdout": 99, "cwd": "/"},
    {"stderr": -5, "cwd": "/"},
    {"env": {"": "x"}},
    {"env": {"A": 1}},
    {"env": [("A", "b")]},
    {"env": os.environb},
    {"encoding": "nonsense", "stdout": -1},
    {"encoding": "hex", "stdout": -1},
    {"encoding": "locale", "stdout": -1},
    {"encoding": "", "stdout": -1},
    {"encoding": 5, "stdout": -1},
    {"errors": 5, "stdout": -1},
    {"text": False, "universal_newlines": True},
]


@pytest.mark.parametrize("options", ODD, ids=str)
@pytest.mark.parametrize("args", [["true"], ["no-such-program"], [""]], ids=str)
def test_odd_options_are_what_they_are_to_the_standard_module(args: list[str], options: dict[str, object]) -> None:
    assert told(subprocess, args, options) == told(standard, args, options)


@pytest.mark.parametrize("args", [[], [None], [1], [bytearray(b"true")], None, 5, iter(["true"]), {"true": 1}], ids=str)
def test_odd_arguments_are_what_they_are_to_the_standard_module(args: object) -> None:
    if isinstance(args, list | dict | int | None):
        assert told(subprocess, args, {}) == told(standard, args, {})
    else:
        assert told(subprocess, args, {}) == 0


def told(module: object, args: object, options: dict[str, object]) -> object:
    """The exit code, or the exception."""
    try:
        return module.run(args, **options).returncode  # type: ignore[attr-defined]
    except Exception as error:
        return type(error), str(error), repr(error.args), repr(getattr(error, "filename", None))


@pytest.mark.native
def test_an_unknown_encoding_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        subprocess.run(["touch", tmp_path / "started"], stdout=subprocess.PIPE, encoding="nonsense")
    assert not any(tmp_path.iterdir())


def test_a_child_inherits_what_was_put_into_the_environment_past_os_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> bytes:
        return subprocess.run(["/bin/sh", "-c", "echo ${FASTOS_PUT-unset}"], capture_output=True).stdout

    assert seen() == b"unset\n"
    os.putenv("FASTOS_PUT", "1")
    try:
        assert seen() == b"1\n"
        os.putenv("FASTOS_PUT", "2")
        assert seen() == b"2\n"
        monkeypatch.setattr(os, "environ", {"FASTOS_PUT": "3", "PATH": os.defpath})
        assert seen() == b"2\n"
    finally:
        os.unsetenv("FASTOS_PUT")
    assert seen() == b"unset\n"


def test_a_subclass_may_use_names_of_its_own(tmp_path: Path) -> None:
    class Measured(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **options: object) -> None:
            self.rusage = self.pidfd = None
            self._child = self._talk = "mine"
            super().__init__(*args, **options)  # type: ignore[call-overload]

        def _start(self) -> None:
            raise AssertionError

        _begin = _await = _collected = _expire = _start

    with Measured(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.communicate(b"through") == (b"through", b"")
    assert (process.returncode, process.rusage, process.pidfd) == (0, None, None)


def test_the_search_goes_on_after_what_cannot_be_run(tmp_path: Path) -> None:
    for name, text in (("first", "no program"), ("second", "#!/bin/sh\nexit 5\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "program").write_text(text)
        (tmp_path / name / "program").chmod(0o755)
    env = {"PATH": f"{tmp_path}/first:{tmp_path}/second"}
    assert standard.call(["program"], env=env) == subprocess.call(["program"], env=env) == 5
    (tmp_path / "second" / "program").unlink()
    for module in (standard, subprocess):
        with pytest.raises(OSError, match="Exec format error"):
            module.call(["program"], env=env)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_another_user_may_not_look_into_every_directory_of_path(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    raised = [
        told(module, ["no-such"], {"user": 65534, "env": {"PATH": f"{tmp_path}/closed:/bin"}})
        for module in (standard, subprocess)
    ]
    assert raised[0] == raised[1]
