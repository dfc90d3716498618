"""Each native primitive against the standard function of the same name: results, errors, signature, audit events.

On the standard-library backend both are the same function, so the tests hold the tests themselves.
"""

import contextlib
import errno
import importlib
import inspect
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.forked import in_child

from fastos import _backend

TOPICS = {
    "owner": "getuid geteuid getgid getegid setuid seteuid setgid setegid setreuid setregid setresuid setresgid "
    "getresuid getresgid getgroups setgroups initgroups getgrouplist getlogin",
    "session": "getpid getppid getpgrp getpgid setpgid setpgrp getsid setsid tcgetpgrp tcsetpgrp ctermid",
    "environment": "putenv unsetenv",
    "descriptor": "open read write lseek close closerange dup dup2 pipe pipe2 get_inheritable set_inheritable",
    "permission": "access chmod fchmod chown umask",
    "directory": "chdir fchdir getcwdb getcwd mkdir rmdir unlink remove rename replace listdir makedirs removedirs",
    "link": "symlink link readlink",
    "signal": "kill killpg",
    "child": "fork waitpid wait wait3 wait4",
    "execute": "execv execve execl execle execlp execlpe execvp execvpe system",
    "launch": "spawnv spawnve spawnvp spawnvpe spawnl spawnle spawnlp spawnlpe",
}
NAMES = [name for names in TOPICS.values() for name in names.split()]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="compares with POSIX functions")


def load() -> SimpleNamespace:
    found = {}
    for topic, names in TOPICS.items():
        module = _backend.topic(topic)
        found.update({name: getattr(module, name) for name in names.split()})
    return SimpleNamespace(**found)


ours = load()
BOTH = pytest.mark.parametrize("api", [os, ours], ids=["os", "fastos"])


def outcome(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> tuple[Any, ...]:
    """What a call came to: its result, or all that its error says."""
    try:
        return ("result", function(*arguments, **keywords))
    except OSError as error:
        return (type(error), error.errno, error.strerror, error.filename, error.filename2)
    except (TypeError, ValueError, OverflowError) as error:
        return (type(error),)


def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """The parameters; the names of those that can only be given by position are nobody's concern."""
    parameters = inspect.signature(function).parameters.values()
    return [("" if p.kind is p.POSITIONAL_ONLY else p.name, p.kind, p.default) for p in parameters]


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_the_standard_one(name: str) -> None:
    try:
        standard = shape(getattr(os, name))
    except ValueError:
        # CPython 3.13 gives chmod a default that inspect cannot read.
        text = getattr(os, name).__text_signature__.replace("$module, /, ", "")
        scope: dict[str, Any] = {"os": os}
        exec(f"def function{text}: ...", scope)
        standard = shape(scope["function"])
    try:
        native = shape(getattr(ours, name))
    except ValueError:  # a function of C itself takes what it takes: nothing
        native = []
    assert native == standard


@pytest.mark.parametrize("name", NAMES)
def test_both_backends_have_it(name: str) -> None:
    topic = next(topic for topic, names in TOPICS.items() if name in names.split())
    assert getattr(importlib.import_module(f"fastos._backend.stdlib_{topic}"), name) is getattr(os, name)


@pytest.mark.parametrize(
    "name",
    [
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getresuid",
        "getresgid",
        "getgroups",
        "getpid",
        "getppid",
        "getpgrp",
        "ctermid",
        "getcwd",
        "getcwdb",
    ],
)
def test_what_the_process_is(name: str) -> None:
    assert getattr(ours, name)() == getattr(os, name)()


def test_groups_of_a_user() -> None:
    assert sorted(ours.getgrouplist("root", 7)) == sorted(os.getgrouplist("root", 7))
    assert outcome(ours.getlogin) == outcome(os.getlogin)


BAD_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("mkdir", ("missing/x",), {}),
    ("mkdir", ("x\0y",), {}),
    ("mkdir", (7,), {}),
    ("mkdir", ("x",), {"dir_fd": "no"}),
    ("mkdir", ("x",), {"dir_fd": -5}),
    ("mkdir", (".",), {}),
    ("mkdir", (Path("missing/x"),), {}),
    ("makedirs", (".",), {}),
    ("makedirs", ("",), {}),
    ("makedirs", ("file/x/y",), {}),
    ("rmdir", (b"missing",), {}),
    ("removedirs", ("missing/x",), {}),
    ("unlink", ("missing",), {}),
    ("unlink", (".",), {}),
    ("remove", ("missing",), {}),
    ("rename", ("missing", "other"), {}),
    ("replace", ("missing", b"other"), {}),
    ("rename", ("file",), {}),
    ("link", ("missing", "other"), {}),
    ("symlink", ("target", "file"), {}),
    ("readlink", ("file",), {}),
    ("readlink", (b"missing",), {}),
    ("listdir", ("missing",), {}),
    ("listdir", ("file",), {}),
    ("listdir", (b"missing",), {}),
    ("listdir", (-5,), {}),
    ("listdir", (3.5,), {}),
    ("chdir", ("missing",), {}),
    ("chdir", (-5,), {}),
    ("chdir", ("a\0b",), {}),
    ("fchdir", (-1,), {}),
    ("chmod", ("missing", 0o600), {}),
    ("chmod", (-5, 0o600), {}),
    ("chmod", ("file",), {}),
    ("chown", (0, -1, -1), {"dir_fd": 0}),
    ("chown", (1, -1, -1), {"follow_symlinks": False}),
    ("chown", ("missing", -1, -1), {}),
    ("chown", ("file", -2, -1), {}),
    ("chown", ("file", "root", -1), {}),
    ("access", (5.5, 0), {}),
    ("open", ("missing", os.O_RDONLY), {}),
    ("open", (Path("missing"), os.O_RDONLY), {}),
    ("open", (7, os.O_RDONLY), {}),
    ("read", (-1, 5), {}),
    ("read", (0, -1), {}),
    ("write", (-1, b""), {}),
    ("write", (1, "text"), {}),
    ("lseek", (-1, 0, 0), {}),
    ("close", (-1,), {}),
    ("close", (1 << 40,), {}),
    ("dup", (-1,), {}),
    ("dup2", (1 << 20, 1), {}),
    ("dup2", (1, 1, False), {}),
    ("get_inheritable", (-1,), {}),
    ("set_inheritable", (-1, True), {}),
    ("kill", (1 << 22, 0), {}),
    ("kill", (os.getpid(), 999), {}),
    ("killpg", (1 << 22, 0), {}),
    ("getpgid", (1 << 22,), {}),
    ("getsid", (1 << 22,), {}),
    ("setpgid", (1 << 22, 0), {}),
    ("tcgetpgrp", (-1,), {}),
    ("tcsetpgrp", (-1, 1), {}),
    ("waitpid", (-1, 0), {}),
    ("wait", (), {}),
    ("wait3", (0,), {}),
    ("wait4", (1 << 22, 0), {}),
    ("setuid", ("root",), {}),
    ("setuid", (-2,), {}),
    ("setuid", (1 << 32,), {}),
    ("setgid", (1 << 40,), {}),
    ("setgroups", (5,), {}),
    ("putenv", ("a=b", "c"), {}),
    ("putenv", ("a\0", "c"), {}),
    ("unsetenv", ("",), {}),
    ("unsetenv", ("a=b",), {}),
    ("execv", ("missing", ["x"]), {}),
    ("execv", ("file", ["x"]), {}),
    ("execv", ("file", []), {}),
    ("execv", ("file", [""]), {}),
    ("execv", ("file", "text"), {}),
    ("execve", ("file", ["x"], {}), {}),
    ("execve", ("file", ["x"], 7), {}),
    ("execve", ("file", ["x"], {"a=b": "c"}), {}),
    ("execvp", ("fastos-no-such-program", ["x"]), {}),
    ("execvp", ("./missing", ["x"]), {}),
    ("spawnv", (os.P_WAIT, "missing", []), {}),
    ("spawnv", (os.P_WAIT, "missing", [""]), {}),
    ("spawnv", (os.P_WAIT, "missing", 7), {}),
    ("spawnv", (os.P_WAIT, "missing", ["x"]), {}),
    ("spawnlp", (os.P_WAIT, "fastos-no-such-program", "x"), {}),
    ("spawnve", (os.P_WAIT, "/bin/sh", ["sh", "-c", "exit 3"], {"a=b": "c"}), {}),
    ("system", ("a\0b",), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), BAD_CALLS)
def test_errors_are_the_standard_ones(
    name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    expected = outcome(getattr(os, name), *arguments, **keywords)
    assert outcome(getattr(ours, name), *arguments, **keywords) == expected


@BOTH
@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_directories_and_links(api: Any, kind: Callable[[str], Any], tmp_path: Path) -> None:
    base = str(tmp_path)
    made, pointer = f"{base}/made", f"{base}/pointer"
    api.mkdir(kind(made), 0o700)
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700
    api.makedirs(kind(f"{made}/a/b"))
    api.makedirs(kind(f"{made}/a/b"), exist_ok=True)
    api.makedirs(kind(f"{made}/c/./"), 0o700)
    assert sorted(map(os.fsdecode, api.listdir(kind(made)))) == ["a", "c"]
    assert {type(name) for name in api.listdir(kind(made))} == {type(os.fspath(kind("x")))}
    api.symlink(kind("made"), kind(pointer), True)
    assert api.readlink(kind(pointer)) == os.fspath(kind("made"))
    api.rename(kind(f"{made}/c"), kind(f"{made}/d"))
    api.replace(kind(f"{made}/d"), kind(f"{made}/e"))
    api.rmdir(kind(f"{made}/e"))
    Path(base, "keep").touch()
    api.removedirs(kind(f"{made}/a/b"))
    api.unlink(kind(pointer))
    api.link(kind(f"{base}/keep"), kind(f"{base}/second"))
    assert os.stat(f"{base}/keep").st_nlink == 2
    api.remove(kind(f"{base}/second"))
    assert os.listdir(base) == ["keep"]


@BOTH
def test_names_that_are_not_utf8(api: Any, tmp_path: Path) -> None:
    name = b"caf\xe9\nx"
    api.mkdir(os.fsencode(tmp_path) + b"/" + name)
    assert api.listdir(tmp_path) == [os.fsdecode(name)]
    assert api.listdir(os.fsencode(tmp_path)) == [name]
    api.rmdir(tmp_path / os.fsdecode(name))
    assert api.listdir(tmp_path) == []


@BOTH
def test_everything_below_a_directory_descriptor(api: Any, tmp_path: Path) -> None:
    below = os.open(tmp_path, os.O_RDONLY)
    try:
        api.mkdir("d", dir_fd=below)
        api.symlink("d", "s", dir_fd=below)
        assert api.readlink("s", dir_fd=below) == "d"
        api.close(api.open("f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=below))
        api.link("f", "g", src_dir_fd=below, dst_dir_fd=below)
        api.rename("g", "h", src_dir_fd=below, dst_dir_fd=below)
        api.chmod("f", 0o644, dir_fd=below)
        assert stat.S_IMODE(os.stat("f", dir_fd=below).st_mode) == 0o644
        assert api.access("f", os.R_OK, dir_fd=below)
        assert not api.access("nothing", os.F_OK, dir_fd=below)
        assert sorted(api.listdir(below)) == ["d", "f", "h", "s"]
        assert sorted(api.listdir(below)) == ["d", "f", "h", "s"]  # from the beginning again
        for name in ("s", "f", "h"):
            api.unlink(name, dir_fd=below)
        api.rmdir("d", dir_fd=below)
    finally:
        os.close(below)
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_links_themselves(api: Any, tmp_path: Path) -> None:
    os.symlink("nothing", tmp_path / "dangling")
    assert not api.access(tmp_path / "dangling", os.F_OK)
    assert api.access(tmp_path / "dangling", os.F_OK, follow_symlinks=False)
    api.link(tmp_path / "dangling", tmp_path / "copy", follow_symlinks=False)
    assert os.readlink(tmp_path / "copy") == "nothing"
    long = "x" * 3000
    api.symlink(long, tmp_path / "long")
    assert api.readlink(tmp_path / "long") == long


@BOTH
def test_descriptors(api: Any, tmp_path: Path) -> None:
    fd = api.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o640)
    assert not api.get_inheritable(fd)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640 & ~os.umask(os.umask(0o22))
    assert [api.write(fd, data) for data in (b"abc", bytearray(b"de"), memoryview(b"f"))] == [3, 2, 1]
    assert api.lseek(fd, 1, os.SEEK_SET) == 1
    assert api.read(fd, 100) == b"bcdef"
    assert api.read(fd, 100) == b""
    copy = api.dup(fd)
    assert not api.get_inheritable(copy)
    assert api.dup2(fd, copy) == copy
    assert api.get_inheritable(copy)
    assert api.dup2(fd, copy, False) == copy
    assert not api.get_inheritable(copy)
    api.set_inheritable(copy, True)
    assert os.get_inheritable(copy)
    api.fchmod(fd, 0o600)
    api.chmod(fd, 0o644)
    api.chown(fd, -1, -1)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o644
    api.closerange(min(fd, copy), max(fd, copy) + 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@BOTH
def test_pipes(api: Any) -> None:
    for make, inheritable in (
        (api.pipe, False),
        (lambda: api.pipe2(0), True),
        (lambda: api.pipe2(os.O_CLOEXEC), False),
    ):
        reading, writing = make()
        assert os.get_inheritable(reading) == os.get_inheritable(writing) == inheritable
        api.write(writing, b"through")
        assert api.read(reading, 3) == b"thr"
        api.close(writing)
        assert api.read(reading, 100) == b"ough"
        api.close(reading)


@BOTH
def test_an_interrupted_read_runs_the_handler_and_goes_on(api: Any) -> None:
    """PEP 475."""
    reading, writing = os.pipe()
    came = []

    def handler(number: int, frame: object) -> None:
        came.append(number)
        os.write(writing, b"from the handler")

    former = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident
    assert main is not None
    sender = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        sender.start()
        assert api.read(reading, 100) == b"from the handler"
        assert came == [signal.SIGUSR1]
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, former)
        os.close(reading)
        os.close(writing)


class Stop(Exception):
    pass


@BOTH
def test_an_exception_of_the_handler_ends_the_call(api: Any) -> None:
    def handler(number: int, frame: object) -> None:
        raise Stop

    reading, writing = os.pipe()
    former = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident
    assert main is not None
    sender = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        with pytest.raises(Stop):
            sender.start()
            api.read(reading, 1)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, former)
        os.close(reading)
        os.close(writing)


@BOTH
def test_the_working_directory(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("sub")
    api.chdir("sub")
    assert api.getcwd() == str(tmp_path / "sub")
    assert api.getcwdb() == os.fsencode(tmp_path / "sub")
    fd = os.open(tmp_path, os.O_RDONLY)
    api.fchdir(fd)
    assert api.getcwd() == str(tmp_path)
    os.chdir("sub")
    api.chdir(fd)
    os.close(fd)
    assert os.getcwd() == str(tmp_path)


@BOTH
def test_a_working_directory_longer_than_path_max(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, levels = "d" * 200, 25
    for _ in range(levels):
        os.mkdir(name)
        os.chdir(name)
    try:
        assert outcome(api.getcwd) == outcome(os.getcwd)
    finally:
        for _ in range(levels):
            os.chdir("..")
            os.rmdir(name)


@BOTH
def test_umask(api: Any) -> None:
    former = api.umask(0o27)
    assert api.umask(former) == 0o27


@BOTH
def test_effective_ids_decide_access(api: Any, tmp_path: Path) -> None:
    for effective in (False, True):
        for mode in (os.F_OK, os.R_OK, os.W_OK | os.R_OK, os.X_OK):
            arguments = (tmp_path, mode)
            assert api.access(*arguments, effective_ids=effective) == os.access(*arguments, effective_ids=effective)


@BOTH
def test_environment(api: Any) -> None:
    def work() -> None:
        api.putenv("FASTOS_TEST", "value")
        assert subprocess.check_output(["/bin/sh", "-c", "echo $FASTOS_TEST"]) == b"value\n"
        api.unsetenv(b"FASTOS_TEST")
        assert subprocess.check_output(["/bin/sh", "-c", "echo $FASTOS_TEST"]) == b"\n"

    assert in_child(work) == 0


@BOTH
def test_sessions(api: Any) -> None:
    def work() -> None:
        api.setpgid(0, 0)
        assert api.getpgid(0) == api.getpgrp() == os.getpid()
        pid = os.fork()
        if pid == 0:
            api.setsid()
            assert api.getsid(0) == os.getpid() == os.getpgrp()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert outcome(api.setsid)[1] == errno.EPERM
        api.setpgrp()

    assert in_child(work) == 0


@BOTH
def test_signals(api: Any) -> None:
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        signal.pause()
        os._exit(0)
    with contextlib.suppress(PermissionError):
        os.setpgid(pid, pid)
    api.kill(pid, 0)
    api.killpg(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)


@BOTH
def test_waiting(api: Any) -> None:
    def child(code: int) -> int:
        pid = api.fork()
        if pid == 0:
            os._exit(code)
        return int(pid)

    pid = child(3)
    assert api.waitpid(pid, 0) == (pid, 3 << 8)
    pid = child(4)
    assert api.wait() == (pid, 4 << 8)
    pid = child(5)
    waited, status, usage = api.wait3(0)
    assert (waited, status) == (pid, 5 << 8)
    pid = child(6)
    waited, status, usage = api.wait4(pid, 0)
    assert (waited, status) == (pid, 6 << 8)
    assert usage.ru_maxrss > 0
    assert type(usage).__name__ == "struct_rusage"
    reading, writing = os.pipe()
    pid = api.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    assert api.waitpid(pid, os.WNOHANG) == (0, 0)
    assert api.wait4(pid, os.WNOHANG)[:2] == (0, 0)
    os.close(writing)
    assert api.waitpid(-1, 0) == (pid, 0)


@BOTH
def test_fork_runs_the_hooks_of_python(api: Any) -> None:
    code = (
        "import os, sys, importlib\n"
        "from fastos import _backend\n"
        f"fork = os.fork if {api is os} else _backend.topic('child').fork\n"
        "os.register_at_fork(before=lambda: print('before', flush=True),"
        " after_in_child=lambda: print('child', flush=True))\n"
        "pid = fork()\n"
        "if not pid: os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"before\nchild\n"


SHELL = ("sh", "-c", "exit $CODE")


@BOTH
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("exec")])
def test_exec(api: Any, name: str) -> None:
    function, env = getattr(api, name), {"CODE": "7", "PATH": os.environ["PATH"]}
    file = "sh" if "p" in name[4:] else "/bin/sh"
    arguments = (SHELL,) if name.startswith("execv") else SHELL

    def work() -> None:
        os.environ["CODE"] = "7"
        function(file, *arguments, *([env] if name.endswith("e") else []))

    assert in_child(work) == 7


@BOTH
def test_exec_of_a_descriptor(api: Any) -> None:
    def work() -> None:
        fd = os.open("/bin/sh", os.O_RDONLY)
        api.execve(fd, SHELL, {"CODE": "9"})

    assert in_child(work) == 9


@BOTH
def test_what_cannot_be_run_is_a_better_error_than_what_is_not_there(api: Any, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "program").write_text("no program")
    path = os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "first"), str(tmp_path / "later")])
    kind, number, _, filename, _ = outcome(api.execvpe, "program", ["program"], {"PATH": path})
    assert (kind, number, filename) == (PermissionError, errno.EACCES, os.fsencode(tmp_path / "first" / "program"))


@BOTH
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("spawn")])
def test_spawn(api: Any, name: str) -> None:
    function, env = getattr(api, name), {"CODE": "7", "PATH": os.environ["PATH"]}
    file = "sh" if "p" in name[5:] else "/bin/sh"
    arguments = (SHELL,) if name.startswith("spawnv") else SHELL
    last = [env] if name.endswith("e") else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE", "7")
        assert function(os.P_WAIT, file, *arguments, *last) == 7
        pid = function(os.P_NOWAIT, file, *arguments, *last)
    assert os.waitpid(pid, 0) == (pid, 7 << 8)


@BOTH
def test_spawn_of_what_is_not_there(api: Any) -> None:
    assert api.spawnv(os.P_WAIT, "/no/such/program", ["x"]) == 127
    pid = api.spawnv(os.P_NOWAIT, "/no/such/program", ["x"])
    assert os.waitpid(pid, 0) == (pid, 127 << 8)


@BOTH
def test_spawn_tells_the_signal_and_passes_inheritable_descriptors(api: Any) -> None:
    assert api.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", "kill -9 $$") == -9
    reading, writing = os.pipe()
    assert api.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", f"echo x > /dev/fd/{writing}") != 0
    os.set_inheritable(writing, True)
    assert api.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", f"echo x > /dev/fd/{writing}") == 0
    assert os.read(reading, 9) == b"x\n"
    os.close(reading)
    os.close(writing)


@BOTH
def test_system(api: Any) -> None:
    assert api.system("exit 3") == 3 << 8
    assert api.system(b"kill -9 $$") == 9


AUDITED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("mkdir", ("d", 0o700), {}),
    ("rmdir", ("d",), {}),
    ("chmod", ("f", 0o600), {}),
    ("chown", ("f", -1, -1), {}),
    ("symlink", ("f", "s"), {}),
    ("link", ("f", "l"), {}),
    ("rename", ("l", "m"), {}),
    ("unlink", ("m",), {}),
    ("remove", ("s",), {}),
    ("listdir", (".",), {}),
    ("listdir", (), {}),
    ("open", ("f", os.O_RDONLY), {}),
    ("chdir", (".",), {}),
    ("kill", (os.getpid(), 0), {}),
    ("killpg", (os.getpgrp(), 0), {}),
    ("putenv", ("A", "b"), {}),
    ("unsetenv", ("A",), {}),
    ("system", (":",), {}),
    ("execv", ("f", ["x"]), {}),
    ("execve", ("f", ["x"], {"A": "b"}), {}),
    ("makedirs", ("d",), {}),
    ("removedirs", ("d",), {}),
]


def test_audit_events_are_the_standard_ones(tmp_path: Path) -> None:
    """In a child, for a hook cannot be taken away."""

    def work() -> None:
        os.chdir(tmp_path)
        Path("f").touch()
        events: list[Any] = []
        sys.addaudithook(lambda *event: events.append(event) if event[0].startswith(("os.", "open")) else None)
        collected = []
        for api in (os, ours):
            events.clear()
            opened = []
            for name, arguments, keywords in AUDITED:
                made = outcome(getattr(api, name), *arguments, **keywords)
                if name == "open":
                    opened.append(made[1])
            for fd in opened:
                os.close(fd)
            collected.append(list(events))
        # os.open audits its flags with O_CLOEXEC in them or not, by platform: compared without.
        flat = [
            [(n, (*a[:2], a[2] & ~os.O_CLOEXEC)) if n == "open" else (n, a) for n, a in events] for events in collected
        ]
        assert flat[0] == flat[1], [pair for pair in zip(*flat, strict=False) if pair[0] != pair[1]]

    assert in_child(work) == 0


@pytest.mark.root
@BOTH
def test_setters_reach_every_thread(api: Any) -> None:
    """POSIX ids belong to the process; the raw system calls would change one thread."""

    def work() -> None:
        seen: list[int] = []
        ready, go = threading.Event(), threading.Event()

        def look() -> None:
            ready.set()
            go.wait()
            status = Path(f"/proc/self/task/{threading.get_native_id()}/status").read_text()
            seen.extend(int(word) for word in status.split("Uid:")[1].split()[:3])

        thread = threading.Thread(target=look)
        thread.start()
        ready.wait()
        api.setgroups([1, 2])
        assert sorted(api.getgroups()) == [1, 2]
        api.initgroups("nobody", 5)
        assert 5 in os.getgroups()
        api.setresgid(3, 4, 5)
        assert api.getresgid() == (3, 4, 5)
        api.setresuid(-1, 65534, -1)
        assert api.getresuid() == (0, 65534, 0)
        api.seteuid(0)
        api.setregid(-1, 7)
        api.setegid(8)
        api.setgid(9)
        assert api.getgid() == api.getegid() == 9
        api.setreuid(-1, 65534)
        api.setreuid(-1, 0)
        api.setuid(65534)
        assert api.getresuid() == (65534, 65534, 65534)
        go.set()
        thread.join()
        assert seen == [65534] * 3

    assert in_child(work) == 0
