"""environment() and working_directory()."""

import os
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import fastos


def child_sees(name: str) -> str:
    code = f"import os; print(os.environ.get({name!r}))"
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=-1, text=True).stdout.strip()


def test_environ_is_the_standard_one() -> None:
    assert fastos.environ is os.environ


def test_children_see_the_change_and_it_goes_away() -> None:
    with fastos.environment(FASTOS_TEST="set"):
        assert child_sees("FASTOS_TEST") == "set"
    assert child_sees("FASTOS_TEST") == "None"
    assert "FASTOS_TEST" not in os.environ


def test_none_removes_and_blocks_nest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOS_TEST", "outer")
    with fastos.environment(FASTOS_TEST=None, FASTOS_OTHER="1"):
        assert "FASTOS_TEST" not in os.environ
        with fastos.environment({"FASTOS_TEST": "inner"}, FASTOS_OTHER=None):
            assert os.environ["FASTOS_TEST"] == "inner"
            assert "FASTOS_OTHER" not in os.environ
        assert "FASTOS_TEST" not in os.environ
        assert os.environ["FASTOS_OTHER"] == "1"
    assert os.environ["FASTOS_TEST"] == "outer"
    assert "FASTOS_OTHER" not in os.environ


def test_an_exception_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOS_TEST", "outer")
    with pytest.raises(ZeroDivisionError), fastos.environment(FASTOS_TEST="inner", FASTOS_OTHER="x"):
        os.environ["FASTOS_TEST"] = "changed again"
        del os.environ["FASTOS_OTHER"]
        raise ZeroDivisionError
    assert os.environ["FASTOS_TEST"] == "outer"
    assert "FASTOS_OTHER" not in os.environ


def test_names_that_are_no_identifiers() -> None:
    with fastos.environment({"fastos.test-name": "x"}):
        assert child_sees("fastos.test-name") == "x"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"A=B": "c"}, ValueError),
        ({"": "c"}, ValueError),
        ({"A": "b\0"}, ValueError),
        ({"A": 7}, TypeError),
        ({7: "a"}, TypeError),
        ({None: None}, TypeError),
    ],
)
def test_wrong_changes_change_nothing(changes: dict[str, str | None], error: type[Exception]) -> None:
    before = dict(os.environ)
    with pytest.raises(error), fastos.environment({"FASTOS_FIRST": "x", **changes}):
        raise AssertionError("entered")
    assert dict(os.environ) == before


def test_working_directory_nests_and_comes_back(tmp_path: Path) -> None:
    before = os.getcwd()
    (tmp_path / "sub").mkdir()
    with fastos.working_directory(tmp_path) as outer:
        assert outer == os.getcwd() == os.path.realpath(tmp_path)
        with fastos.working_directory(b"sub") as inner:
            assert inner == os.path.join(outer, "sub")
        assert os.getcwd() == outer
        with pytest.raises(ZeroDivisionError), fastos.working_directory("sub"):
            raise ZeroDivisionError
        assert os.getcwd() == outer
    assert os.getcwd() == before


def test_errors_change_nothing(tmp_path: Path) -> None:
    before = os.getcwd()
    (tmp_path / "file").touch()
    for path, error in ((tmp_path / "missing", FileNotFoundError), (tmp_path / "file", NotADirectoryError)):
        with pytest.raises(error) as caught, fastos.working_directory(path):
            raise AssertionError("entered")
        assert caught.value.filename == str(path) or caught.value.filename == path
        assert os.getcwd() == before


@pytest.mark.skipif(os.chdir not in os.supports_fd, reason="descriptors of directories")
def test_the_way_back_survives_a_rename(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    with fastos.working_directory(first):
        with fastos.working_directory(tmp_path):
            first.rename(second)
        assert os.path.samefile(os.getcwd(), second)


@pytest.mark.skipif(os.chdir not in os.supports_fd, reason="descriptors of directories")
def test_a_descriptor_is_a_directory_too(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with fastos.working_directory(fd) as inside:
            assert os.path.samefile(inside, tmp_path)
    finally:
        os.close(fd)


def test_working_directory_comes_back_after_an_interrupt(tmp_path: Path) -> None:
    """Just behind the change, before the block."""
    before, getcwd = os.getcwd(), os.getcwd

    def step(frame: FrameType, event: str, _: object) -> Any:
        if getcwd() != before and "_environment" in frame.f_code.co_filename:
            sys.settrace(None)
            raise KeyboardInterrupt
        return step

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        return step(frame, event, argument)

    tracing = sys.gettrace()
    sys.settrace(enter)
    try:
        with pytest.raises(KeyboardInterrupt), fastos.working_directory(tmp_path):
            pass
    finally:
        sys.settrace(tracing)
    assert os.getcwd() == before
