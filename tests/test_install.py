"""install() swaps, uninstall() puts back; nothing else changes."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastos
from fastos import _backend

ORIGINALS = (os.walk, os.fwalk, shutil.rmtree, subprocess.Popen)
NAMES = ("os.walk", "os.fwalk", "shutil.rmtree", "subprocess.Popen")


def current() -> tuple[object, ...]:
    return (os.walk, os.fwalk, shutil.rmtree, subprocess.Popen)


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    fastos.uninstall()
    assert all(now is original for now, original in zip(current(), ORIGINALS, strict=True))


@pytest.mark.native
def test_swaps_and_puts_back_the_very_same_objects() -> None:
    assert fastos.install() == NAMES
    assert os.walk is fastos.walk
    assert not any(now is original for now, original in zip(current(), ORIGINALS, strict=True))


def test_without_the_core_nothing_is_swapped() -> None:
    if not _backend.COMPILED:
        assert fastos.install() == ()
        assert current() == ORIGINALS


@pytest.mark.native
def test_twice_is_an_error() -> None:
    fastos.install()
    with pytest.raises(RuntimeError, match="installed already"):
        fastos.install()


def test_uninstall_without_install_does_nothing() -> None:
    fastos.uninstall()


@pytest.mark.native
def test_what_must_not_change(tmp_path: Path) -> None:
    fastos.install()
    assert shutil.rmtree.avoids_symlink_attacks
    (tmp_path / "tree").mkdir()
    with os.scandir(tmp_path) as entries:
        assert all(isinstance(entry, os.DirEntry) for entry in entries)
    shutil.rmtree(tmp_path / "tree")
    with subprocess.Popen(["true"]) as process:
        assert isinstance(process, subprocess.Popen)
        assert isinstance(process, ORIGINALS[3])  # type: ignore[arg-type]
    assert subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout == "hi\n"


@pytest.mark.native
def test_counts_calls(tmp_path: Path) -> None:
    calls: Counter[str] = Counter()
    fastos.install(count=calls)
    list(os.walk(tmp_path))
    subprocess.run(["true"])
    assert calls == {"os.walk": 1, "subprocess.Popen": 1}


@pytest.mark.native
def test_a_module_that_subclasses_popen_works() -> None:
    fastos.install(count=Counter())

    class Mine(subprocess.Popen):  # type: ignore[type-arg]
        pass

    with Mine(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.communicate(b"x") == (b"x", None)


def fastos_install(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fastos", "install", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.native
def test_command_runs_a_script_with_its_arguments_and_exit_code(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, fastos\n"
        "assert os.walk is fastos.walk and __name__ == '__main__'\n"
        "print(sys.argv[1:]); list(os.walk('.')); sys.exit(7)\n"
    )
    counts = tmp_path / "counts.json"
    done = fastos_install("--count", counts, "--", script, "--flag", "x", cwd=tmp_path)
    assert done.returncode == 1 or "assert" not in done.stderr, done.stderr
    done = fastos_install("--", script, "--flag", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "['--flag', 'x']\n"), done.stderr


@pytest.mark.native
def test_command_counts(tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    done = fastos_install("--count", counts, "--", "-c", "import os; list(os.walk('.')); list(os.walk('.'))")
    assert done.returncode == 0, done.stderr
    assert json.loads(counts.read_text()) == dict.fromkeys(NAMES, 0) | {"os.walk": 2}


def test_command_runs_a_module(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(sys.argv[0].endswith('program.py'), sys.argv[1:])")
    done = fastos_install("--", "-m", "program", "a", cwd=tmp_path)
    assert done.stdout == "True ['a']\n", done.stderr


@pytest.mark.parametrize("arguments", [[], ["--"], ["--", "-m"]])
def test_command_without_a_program(arguments: list[str]) -> None:
    done = fastos_install(*arguments)
    assert done.returncode == 2
    assert "no program" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "fastos install: nowhere.py: No such file or directory\n"),
        (["-m", "nowhere"], "fastos install: nowhere: No module named nowhere\n"),
        (["."], "fastos install: .: can't find '__main__' module in '{0}'\n"),
    ],
)
def test_command_with_a_program_that_is_missing(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = fastos_install("--", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, message.format(tmp_path))


def test_command_with_counts_that_cannot_be_written() -> None:
    done = fastos_install("--count", "/nowhere/file", "--", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fastos install: /nowhere/file: No such file or directory\n"


def test_command_shows_the_traceback_of_the_program_alone(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def fail():\n    1 / 0\nfail()\n")
    for arguments in (["program.py"], ["-c", "import program"], ["-m", "program"]):
        done = fastos_install("--", *arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback (most recent call last):\n")
        assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
        assert "install.py" not in done.stderr
        assert "runpy" not in done.stderr
    done = fastos_install("--", "-c", "x =")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, '  File "<string>", line 1')


def test_command_gives_the_program_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").touch()
    script = tmp_path / "script.py"
    script.write_text("import sys, neighbour; print(sys.path[0]); print(sys.modules['__main__'].__file__)")
    done = fastos_install("--", script, cwd="/")
    assert done.stdout == f"{tmp_path}\n{script}\n", done.stderr
    code = "import sys; print(sys.path.count(''), sys.modules['__main__'].__dict__ is globals())"
    assert fastos_install("--", "-c", code, cwd="/").stdout == "1 True\n"


def test_command_with_processes_that_import_the_main_module_again() -> None:
    code = "import multiprocessing as m; print(m.get_context('spawn').Process(target=print, args=(1,)).start())"
    done = fastos_install("--", "-c", code, timeout=60)
    assert sorted(done.stdout.split()) == ["1", "None"], done.stderr


def test_command_runs_a_script_as_the_interpreter_does(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import atexit, os, pickle, sys, threading, time\n"
        "class Own: pass\n"
        "def at_the_end(): print(type(pickle.loads(pickle.dumps(Own()))) is Own, sys.modules['__main__'].Own is Own)\n"
        "atexit.register(at_the_end)\n"
        "print(sorted(globals()), __file__, sys.argv, sys.path[0], __spec__, __package__, __cached__, __name__)\n"
        "print(type(__loader__).__name__, __annotations__)\n"
        "raise SystemExit(3)\n"
    )
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "__main__.py").write_text("import sys; print(sys.path[0], __file__, __name__)")
    for program in ("script.py", "directory"):
        done = fastos_install("--", program, "a", cwd=tmp_path)
        plain = subprocess.run(
            [sys.executable, program, "a"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@pytest.mark.native
def test_command_stays_in_place_for_threads_that_outlive_the_main_one(tmp_path: Path) -> None:
    code = (
        "import os, threading\n"
        "def late(): threading.main_thread().join(); print(os.walk.__module__)\n"
        "threading.Thread(target=late).start()\n"
    )
    assert fastos_install("--", "-c", code).stdout == "fastos._backend.native_walk\n"


def test_path_walk(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "link").symlink_to("below")
    (tmp_path / "below" / "file").touch()
    walk = getattr(Path, "walk", None)  # from 3.12 on; since 3.13 it is os.walk with a special argument
    if walk is None:
        pytest.skip("this Python has no Path.walk")
    expected = list(walk(tmp_path))
    fastos.install()
    assert list(walk(tmp_path)) == expected


@pytest.mark.native
def test_a_walk_uses_what_a_test_put_into_os(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastos.install()

    def fail(path: object) -> None:
        raise PermissionError(errno.EACCES, "replaced", path)

    monkeypatch.setattr(os, "scandir", fail)
    errors: list[OSError] = []
    assert list(os.walk(tmp_path, onerror=errors.append)) == []
    assert [error.strerror for error in errors] == ["replaced"]
    with pytest.raises(PermissionError, match="replaced"):
        list(os.fwalk(tmp_path))


def test_swapped_functions_are_documented() -> None:
    fastos.install()
    assert all(now.__doc__ for now in (os.walk, os.fwalk, shutil.rmtree, subprocess.Popen))
