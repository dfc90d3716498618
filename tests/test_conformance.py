"""The machinery of `make conformance`, and that what the documents say of the drop-in os is so.

The run itself, of all of CPython's tests, is a step of its own.
"""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from fastos import _backend, os

TOP = Path(__file__).parent.parent


def conformance() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance", TOP / "tools" / "conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


def job(module: str = "test_wait3") -> object:
    return conformance().Job("3.11", sys.executable, "os", module)


def test_every_difference_has_a_module_a_test_and_a_reason() -> None:
    entries = tomllib.loads((TOP / "docs" / "differences.toml").read_text()).get("difference", [])
    known = {module for modules in conformance().DROP_INS.values() for module in modules}
    for entry in entries:
        assert entry["module"] in known
        assert entry["test"].startswith(f"test.{entry['module']}.")
        assert len(entry["reason"]) > 20
        assert set(entry) <= {"module", "test", "reason", "pythons"}


@pytest.mark.skipif(importlib.util.find_spec("test.test_wait3") is None, reason="this Python came without its tests")
def test_the_drop_in_is_what_is_tested() -> None:
    outcome = conformance().examine(job())
    assert outcome.standard
    assert outcome.standard == outcome.ours
    assert not outcome.problem


@pytest.mark.parametrize(
    ("lost", "listed", "exact"),
    [(set(), {}, True), ({"t"}, {}, False), ({"t"}, {"t": "a reason"}, True), (set(), {"t": "a reason"}, False)],
)
def test_the_list_must_be_exact(
    lost: set[str], listed: dict[str, str], exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = conformance()
    monkeypatch.setattr(tool, "documented", lambda job: listed)
    assert tool.report(job(), tool.Outcome({"t", "u"}, {"t", "u"} - lost)) is exact


def test_a_run_that_breaks_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = conformance()
    monkeypatch.setattr(tool, "passes", lambda job, replace: tool.Passes(set(), set(), {}))
    assert not tool.report(job(), tool.examine(job()))


def test_what_passes_only_when_it_is_run_again_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = conformance()
    tries = {
        False: [{"a": "pass", "b": "pass", "c": "pass"}],
        True: [{"a": "pass", "b": "fail", "c": "error"}, {"b": "pass", "c": "fail"}, {"c": "pass"}],
    }
    monkeypatch.setattr(tool, "run_worker", lambda job, replace, tests=(): tries[replace].pop(0))
    monkeypatch.setattr(tool, "documented", lambda job: {})
    outcome = tool.examine(job())
    assert (outcome.standard, outcome.lost) == ({"a", "b", "c"}, set())
    assert tool.report(job(), outcome)
    said = capsys.readouterr().out
    assert "passed only when run again (1 of 2), with fastos: b\n" in said
    assert "passed only when run again (2 of 2), with fastos: c\n" in said


@pytest.mark.native
def test_the_table_says_what_the_drop_in_has() -> None:
    rows = re.findall(
        r"^\| ([a-z0-9]+)[^|]*\|.*\| (fastos's|`os`'s) \|$", (TOP / "docs" / "primitives.md").read_text(), re.M
    )
    assert len(rows) > 40
    assert _backend.COMPILED
    for name, has in rows:
        assert has == ("fastos's" if name in os._TAKEN else "`os`'s"), name
