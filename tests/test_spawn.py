"""spawn: the program, its arguments, environment and directory, and what is raised when it cannot be started."""

import errno
import os
import pickle
import stat
import sys
from pathlib import Path

import pytest

import fastos
from fastos import _backend
from spawned import SH, output, python, shell


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


# -- arguments


def test_arguments_arrive_unchanged() -> None:
    words = ["", " ", "a b", "\n", "ä", os.fsdecode(b"\xff\xfe"), "--", "-c"]
    code = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    with fastos.spawn([sys.executable, "-I", "-S", "-c", code, *words], stdout=fastos.PIPE) as process:
        assert process.stdout.read().split(b"|") == [os.fsencode(word) for word in words]


def test_undecodable_argument_is_bytes_for_bytes() -> None:
    with fastos.spawn(["printf", "%s", b"\xff\xfe"], stdout=fastos.PIPE) as process:
        assert process.stdout.read() == b"\xff\xfe"


def test_arguments_may_be_paths_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert output([b"cat", tmp_path / "file"]) == "text"


def test_many_arguments() -> None:
    words = [str(number) for number in range(20_000)]
    assert output([SH, "-c", "echo $#", "sh", *words]) == "20000\n"


@pytest.mark.parametrize("args", ["ls -l", b"ls", Path("/bin/ls")])
def test_one_string_is_refused(args: object) -> None:
    with pytest.raises(TypeError, match="runs no shell"):
        fastos.spawn(args)


def test_no_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="args is empty"):
        fastos.spawn([])


@pytest.mark.parametrize("args", [["echo", "a\0b"], [b"echo", b"a\0b"], ["ec\0ho"], ["echo", Path("a\0b")]])
def test_nul_in_an_argument_is_refused(args: list[object]) -> None:
    with pytest.raises(ValueError, match="null byte"):
        fastos.spawn(args)


def test_an_argument_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError):
        fastos.spawn(["echo", 1])


def test_nul_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="null byte"):
        fastos.spawn(["echo"], env={"A": "b\0c"})
    if _backend.COMPILED:
        for option in ({"cwd": "/\0"}, {"executable": "/bin/\0"}):
            with pytest.raises(ValueError, match="null byte"):
                fastos.spawn(["echo"], **option)


# -- the program


def test_executable_leaves_the_name_alone() -> None:
    assert output(["other-name", "-c", "echo $0"], executable=SH) == "other-name\n"


def test_path_is_that_of_the_child(tmp_path: Path) -> None:
    script(tmp_path / "only-here", "#!/bin/sh\necho found\n")
    assert output(["only-here"], env={"PATH": f"/nonexistent:{tmp_path}:/bin"}) == "found\n"
    with pytest.raises(FileNotFoundError):
        fastos.spawn(["only-here"])


def test_path_follows_os_environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "only-here", "#!/bin/sh\necho found\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert output(["only-here"]) == "found\n"


def test_path_goes_on_after_a_file_that_may_not_be_executed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    script(tmp_path / "a" / "tool", "#!/bin/sh\necho a\n", mode=0o644)
    path = f"{tmp_path / 'a'}:{tmp_path / 'b'}:/nonexistent"
    with pytest.raises(PermissionError):
        fastos.spawn(["tool"], env={"PATH": path})
    script(tmp_path / "b" / "tool", "#!/bin/sh\necho b\n")
    assert output(["tool"], env={"PATH": path}) == "b\n"


@pytest.mark.native
def test_relative_program_is_looked_for_in_the_new_directory(tmp_path: Path) -> None:
    script(tmp_path / "tool", "#!/bin/sh\necho here\n")
    assert output(["./tool"], cwd=tmp_path) == "here\n"
    assert output(["tool"], cwd=tmp_path, env={"PATH": ":/nonexistent"}) == "here\n"


# -- what cannot be started


def raised(args: list[object], **options: object) -> fastos.SpawnError:
    with pytest.raises(fastos.SpawnError) as caught:
        fastos.spawn(args, stdout=fastos.PIPE, **options)
    return caught.value


def test_missing_program() -> None:
    error = raised(["fastos-no-such-program"])
    assert isinstance(error, FileNotFoundError)
    assert (error.step, error.errno, error.filename) == ("exec", errno.ENOENT, "fastos-no-such-program")
    assert str(error).endswith("exec: No such file or directory: 'fastos-no-such-program'")


def test_empty_name() -> None:
    assert raised([""]).errno == errno.ENOENT


def test_directory_as_program(tmp_path: Path) -> None:
    error = raised([str(tmp_path)])
    assert isinstance(error, PermissionError)
    assert (error.step, error.errno, error.filename) == ("exec", errno.EACCES, str(tmp_path))


def test_file_as_directory(tmp_path: Path) -> None:
    script(tmp_path / "file", "")
    error = raised([str(tmp_path / "file" / "program")])
    assert isinstance(error, NotADirectoryError)
    assert error.step == "exec"


def test_text_file_without_interpreter_is_no_program(tmp_path: Path) -> None:
    error = raised([script(tmp_path / "text", "echo no\n")])
    assert (error.step, error.errno) == ("exec", errno.ENOEXEC)
    if _backend.COMPILED:
        assert "no shell is tried" in str(error)


@pytest.mark.native
def test_missing_interpreter_is_told_apart(tmp_path: Path) -> None:
    assert "interpreter" in str(raised([script(tmp_path / "tool", "#!/nonexistent/interpreter\n")]))


def test_too_many_arguments() -> None:
    assert raised(["echo", "x" * (1 << 18)]).errno == errno.E2BIG


def test_missing_directory() -> None:
    error = raised([SH, "-c", ":"], cwd="/nonexistent")
    assert isinstance(error, FileNotFoundError)
    assert (error.step, error.filename) == ("chdir", "/nonexistent")


def test_error_survives_pickling() -> None:
    error = raised(["fastos-no-such-program"])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.step, copy.errno, copy.filename) == (type(error), "exec", errno.ENOENT, error.filename)


# -- environment


def test_environment_is_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOS_TEST", "1")
    assert shell("echo $FASTOS_TEST") == "1"
    monkeypatch.setenv("FASTOS_TEST", "2")
    assert shell("echo $FASTOS_TEST") == "2"
    monkeypatch.delenv("FASTOS_TEST")
    assert shell("echo ${FASTOS_TEST-unset}") == "unset"


def test_environment_given_is_all_there_is() -> None:
    assert output(["/usr/bin/env"], env={"A": "1", "B": ""}) == "A=1\nB=\n"
    assert output(["/usr/bin/env"], env={}) == ""
    assert output(["/usr/bin/env"], env={b"A": b"1"}) == "A=1\n"


def test_large_environment() -> None:
    variables = {f"V{number}": "x" * 100 for number in range(1000)}
    assert len(output(["/usr/bin/env"], env=variables).splitlines()) == 1000


@pytest.mark.parametrize("name", ["", "A=B"])
def test_illegal_variable_name(name: str) -> None:
    if not name and not _backend.COMPILED:
        return  # subprocess lets it pass
    with pytest.raises(ValueError, match="illegal environment"):
        fastos.spawn(["true"], env={name: "x"})


# -- directory, umask


def test_directory(tmp_path: Path) -> None:
    assert shell("pwd", cwd=tmp_path) == str(tmp_path)
    assert shell("pwd", cwd=os.fsencode(tmp_path)) == str(tmp_path)


@pytest.mark.native
def test_directory_by_descriptor(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert shell("pwd", cwd=fd) == str(tmp_path)
        # Even where another descriptor takes its number.
        code = f"import os; print(os.getcwd(), os.path.samestat(os.fstat({fd}), os.stat('/dev/null')))"
        with open(os.devnull) as null:
            assert python(code, cwd=fd, fds={fd: null}) == f"{tmp_path} True"
    finally:
        os.close(fd)


def test_umask(tmp_path: Path) -> None:
    shell("touch file", cwd=tmp_path, umask=0o027)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    with pytest.raises(ValueError, match="umask"):
        fastos.spawn(["true"], umask=0o10000)


# -- the object


def test_process_tells_what_it_is() -> None:
    with fastos.spawn([SH, "-c", "exit 3"]) as process:
        assert process.pid > 0
        assert process.args == [SH, "-c", "exit 3"]
    assert repr(process) == f"<Process {process.pid} ['/bin/sh', '-c', 'exit 3']: <ExitStatus code=3>>"
    with pytest.raises(ValueError, match="no pidfd"):
        process.fileno()


def test_audit_event() -> None:
    code = (
        "import sys, fastos\n"
        "sys.addaudithook(lambda name, args: name.startswith('fastos') and print(name, args[0]))\n"
        "fastos.spawn(['true']).wait()\n"
    )
    assert output([sys.executable, "-c", code]) == "fastos.spawn ['true']\n"


def test_a_prepared_request_starts_many() -> None:
    from fastos import _spawn

    request = _spawn.prepare([SH, "-c", "exit 4"])
    processes = [_spawn.Process(request, None) for _ in range(5)]
    assert [process.wait().code for process in processes] == [4] * 5
    assert len({process.pid for process in processes}) == 5


def test_python_can_be_started() -> None:
    assert python("print(1 + 1)") == "2"


@pytest.mark.skipif(_backend.COMPILED, reason="only where there is no compiled core")
@pytest.mark.parametrize(
    "option",
    [
        {"rlimits": {"NOFILE": 10}},
        {"nice": 1},
        {"affinity": {0}},
        {"oom_score_adj": 1},
        {"controlling_tty": True},
        {"no_new_privs": True},
        {"die_with_parent": True},
        {"cgroup": "/"},
        {"signal_mask": []},
        {"fds": {9: 1}},
        {"cwd": 3},
        {"stdin": fastos.PTY},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_the_standard_library_cannot_do_is_named(option: dict[str, object]) -> None:
    name = next(iter(option))
    with pytest.raises(NotImplementedError, match="PTY" if name == "stdin" else name):
        fastos.spawn(["true"], **option)
