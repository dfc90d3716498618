"""Globs against the standard library's."""

import fnmatch
import glob
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastos import _glob

parts = st.sampled_from(
    [*"abAB.-!^]\\", "*", "**", "?", "[", "[a-b]", "[!a]", "[]]", "[^a]", "[b-a]", "[a-]", "[--b]", "é"]
)
patterns = st.lists(parts, max_size=7).map("".join)
texts = st.text("abAB.-!^][\\*é\n", max_size=7)


def matches(pattern: str, text: str, kind: str = "name", ignore_case: bool = False) -> bool:
    tokens = _glob.parse(pattern, kind, ignore_case)  # type: ignore[arg-type]
    answer = _glob.compile_python(tokens).fullmatch(text) is not None
    assert native(tokens, text) in (answer, None)
    return answer


def native(tokens: tuple[_glob.Token, ...], text: str) -> bool | None:
    """What the C matcher says; None without it."""
    from fastos import _backend

    if not _backend.COMPILED:
        return None
    from fastos._backend.native import ffi, lib

    code = _glob.compile_native(tokens)
    program = b"\x01\x10\x00" + len(code).to_bytes(4, "little") + code
    out = ffi.new("struct fo_predicate **")
    assert lib.fo_predicate_new(program, len(program), out) == 0
    name = _glob.encode(text)
    view = ffi.new("struct fo_entry_view *", {"name": ffi.from_buffer(name), "name_length": len(name), "depth": 1})
    answer = lib.fo_predicate_test(out[0], view)
    lib.fo_predicate_free(out[0])
    return bool(answer)


@given(patterns, texts)
def test_names_match_as_in_fnmatch(pattern: str, text: str) -> None:
    assert matches(pattern, text) is fnmatch.fnmatchcase(text, pattern)


@given(patterns, texts)
def test_case_is_ignored_as_in_re(pattern: str, text: str) -> None:
    expected = re.compile(fnmatch.translate(pattern), re.IGNORECASE).match(text) is not None
    assert matches(pattern, text, ignore_case=True) is expected


@pytest.mark.skipif(sys.version_info < (3, 13), reason="glob.translate is new in 3.13")
@given(st.lists(st.one_of(patterns, st.just("**")), min_size=1, max_size=4), st.lists(texts.filter(bool), min_size=1))
def test_paths_match_as_in_pathlib(pattern: list[str], path: list[str]) -> None:
    joined = "/".join(segment for segment in pattern if segment) or "a"
    expected = re.compile(glob.translate(joined, recursive=True, include_hidden=True, seps="/"))  # type: ignore[attr-defined]
    assert matches(joined, "/".join(path), "path") is (expected.match("/".join(path)) is not None)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("src/**/*.c", "src/a.c", True),
        ("src/**/*.c", "src/x/y/a.c", True),
        ("src/**/*.c", "srcs/a.c", False),
        ("**", "a/b", True),
        ("**/b", "b", True),
        ("**/b", "ab", False),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("a**b", "a/b", False),
        ("a**b", "axxb", True),
        ("*", "a/b", False),
        ("a?b", "a/b", False),
        ("a[!x]b", "a/b", False),
        ("**/a/**/b", "x/a/y/a/z/b", True),
        ("*/b*/**/c", "a/bb/x/c", True),
        ("**/**/c", "c", True),
    ],
)
def test_paths(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path, "path") is expected


@pytest.mark.parametrize(
    ("pattern", "text", "kind"),
    [
        ("*a" * 30 + "b", "a" * 200, "name"),
        ("*a" * 30 + "b", "a" * 200, "path"),
        ("*a/" * 30 + "b", "aaaa/" * 30 + "c", "path"),
        ("**/a*/" * 20 + "b", "aa/" * 60 + "c", "path"),
    ],
)
def test_no_pattern_takes_forever(pattern: str, text: str, kind: str) -> None:
    assert matches(pattern, text, kind) is False


@given(
    st.lists(st.sampled_from(["a", "*", "**", "a*", "*a", "*a*b", "?", "[!a]*", "b"]), min_size=1, max_size=6),
    st.text("ab/", max_size=12),
)
def test_both_matchers_agree_on_paths(segments: list[str], text: str) -> None:
    """matches() compares them, and the simple expression that backtracks over everything says what is right."""
    pattern = "/".join(segments)
    simple = {_glob.RUN: ".*", _glob.RUN_INNER: "[^/]*", _glob.DIRECTORIES: "(?:.*/)?"}
    tokens = _glob.parse(pattern, "path", False)
    expected = "".join(simple.get(token.kind) or _glob._expression(token) for token in tokens)
    assert matches(pattern, text, "path") is (re.fullmatch(expected, text, re.DOTALL) is not None)
