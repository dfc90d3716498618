"""CPython's own tests of os.walk and os.fwalk, taken from the running interpreter, run against fastos's."""

import os
import types
from pathlib import Path

import pytest

import fastos

test_os = pytest.importorskip("test.test_os", reason="the interpreter ships no test package", exc_type=ImportError)


@pytest.fixture(autouse=True)
def replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the namespace of test.test_os, and only there, os.walk and os.fwalk are fastos's."""
    namespace = types.ModuleType("os")
    vars(namespace).update(vars(os))
    namespace.walk = fastos.walk  # type: ignore[attr-defined]
    namespace.fwalk = fastos.fwalk  # type: ignore[attr-defined]
    monkeypatch.setattr(test_os, "os", namespace)
    monkeypatch.chdir(tmp_path)


class TestWalk(test_os.WalkTests): ...  # type: ignore[misc,name-defined]


class TestBytesWalk(test_os.BytesWalkTests): ...  # type: ignore[misc,name-defined]


class TestFwalk(test_os.FwalkTests): ...  # type: ignore[misc,name-defined]


class TestBytesFwalk(test_os.BytesFwalkTests): ...  # type: ignore[misc,name-defined]
