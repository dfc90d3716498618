"""Predicates: how they are written, what they refuse, and that the native test says what Python says."""

import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastos import field
from fastos._field import require
from fastos._predicate import NUMBERS, TYPES, Predicate, all_of, suffix_of
from fastos._predicate_program import compile_predicate


@dataclass
class Entry:
    """An entry that never was."""

    name: bytes = b"name"
    directory: bytes = b""
    type: str = "file"
    depth: int = 1
    size: int = 0
    blocks: int = 0
    ino: int = 1
    dev: int = 1
    rdev: int = 0
    mode: int = 0o100644
    uid: int = 0
    gid: int = 0
    nlink: int = 1
    blksize: int = 4096
    atime_ns: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    btime_ns: int = -1

    @property
    def path(self) -> bytes:
        if self.depth == 0:
            return b""
        return self.directory + b"/" + self.name if self.directory else self.name


# -- what is written


@pytest.mark.parametrize(
    ("predicate", "written"),
    [
        (field.size > 1 << 20, "field.size > 1048576"),
        ((field.size > 5) & field.name.glob("*.py"), "(field.size > 5) & field.name.glob('*.py')"),
        (~(field.type == "file"), "~(field.type == 'file')"),
        (field.type != "file", "field.type != 'file'"),
        (
            (field.depth < 3) | (field.uid == 0) | (field.uid == 1),
            "(field.depth < 3) | (field.uid == 0) | (field.uid == 1)",
        ),
        (
            (field.uid == 0) & ((field.gid == 0) | (field.gid == 1)),
            "(field.uid == 0) & ((field.gid == 0) | (field.gid == 1))",
        ),
        (field.suffix.isin([".py", ".c"]), "field.suffix.isin(['.py', '.c'])"),
        (field.name.glob("*.PY", ignore_case=True), "field.name.glob('*.PY', ignore_case=True)"),
        (field.size.between(1, 2), "field.size.between(1, 2)"),
        (field.mode.has_any(0o22), "field.mode.has_any(0o22)"),
    ],
)
def test_repr_is_what_was_written(predicate: Predicate, written: str) -> None:
    assert repr(predicate) == written


def test_repr_evaluates_to_the_same() -> None:
    predicate = ((field.size > 5) & ~field.name.regex("a|b")) | (field.mtime_ns <= 7)
    assert repr(eval(repr(predicate), {"field": field})) == repr(predicate)


def test_fields_are_those_looked_at() -> None:
    predicate = (field.size > 5) & (field.suffix == ".c") | ~(field.type == "file")
    assert predicate.fields == {"size", "name", "type"}


# -- what is refused


@pytest.mark.parametrize(
    "expression",
    [
        "(field.size > 1) and (field.size < 5)",
        "(field.size > 1) or (field.size < 5)",
        "not (field.size > 1)",
        "1 < field.size < 5",
        "bool(field.size)",
        "field.size > 'big'",
        "field.size > 1.5",
        "field.size == True",
        "field.size > field.blocks",
        "field.size > datetime(2024, 1, 1)",
        "field.name == 5",
        "field.name.glob(5)",
        "field.name.regex(5)",
        "field.name.isin('.py')",
        "field.type == 1",
        "field.size & (field.size > 1)",
        "(field.size > 1) & True",
        "hash(field.size)",
    ],
)
def test_type_errors(expression: str) -> None:
    with pytest.raises(TypeError):
        eval(expression, {"field": field, "datetime": datetime})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("field.type == 'dir'", "did you mean 'directory'"),
        ("field.suffix == 'py'", "'.py'"),
        ("field.suffix.isin(['py'])", "'.py'"),
        ("field.name.glob('src/*.py')", "field.path"),
        ("field.name == 'a/b'", "field.path"),
        ("field.path.glob('/src/*')", "below the root"),
        ("field.path.glob('./src/*')", "below the root"),
        ("field.path.glob('src/')", "below the root"),
        ("field.path.glob('src//*.c')", "below the root"),
        ("field.path.glob('../*')", "below the root"),
        ("field.name.regex('(')", "unterminated"),
        ("field.mode.has_any(-1)", "mask"),
    ],
)
def test_value_errors(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        eval(expression, {"field": field})


def test_the_hint_names_the_operators() -> None:
    with pytest.raises(TypeError, match="& | ~"[:1]):
        assert field.size > 1


def test_unknown_field() -> None:
    with pytest.raises(AttributeError, match=r"did you mean field\.mtime_ns"):
        field.mtime  # noqa: B018


def test_require_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"where=field\.size is a field"):
        require(field.size, "where")
    with pytest.raises(TypeError, match=r"prune must be a predicate"):
        require("*.py", "prune")
    predicate = field.size > 1
    assert require(predicate, "where") is predicate


def test_nesting_beyond_measure() -> None:
    predicate = field.size > 0
    for number in range(200):
        predicate = (predicate & (field.size > number)) | (field.size == number)
    with pytest.raises(ValueError, match="nested"):
        compile_predicate(predicate)


# -- what is meant


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        (b"a.py", b".py"),
        (b".bashrc", b""),
        (b"a.", b""),
        (b"a.tar.gz", b".gz"),
        (b"a", b""),
        (b".a.b", b".b"),
        (b"", b""),
    ],
)
def test_suffix(name: bytes, suffix: bytes) -> None:
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    ("predicate", "entry", "expected"),
    [
        (field.mtime_ns > datetime(2024, 1, 1, tzinfo=UTC), Entry(mtime_ns=1704067200_000000001), True),
        (field.mtime_ns > datetime(2024, 1, 1, tzinfo=UTC), Entry(mtime_ns=1704067200_000000000), False),
        (field.mode.has_any(0o022), Entry(mode=0o100664), True),
        (field.mode.has_all(0o022), Entry(mode=0o100664), False),
        (field.mode.has_all(stat.S_ISUID), Entry(mode=0o104755), True),
        (field.name > "b", Entry(name=b"ba"), True),
        (field.name >= "b", Entry(name=b"b"), True),
        (field.name < "b", Entry(name=b"b"), False),
        (field.name.startswith("na") & field.name.endswith(b"me") & field.name.contains("am"), Entry(), True),
        (field.path.glob("src/**/*.c"), Entry(name=b"a.c", directory=b"src/x/y", depth=4), True),
        (field.path.glob("src/**/*.c"), Entry(name=b"a.c", directory=b"src", depth=2), True),
        (field.path.glob("src/**/*.c"), Entry(name=b"a.c", directory=b"lib", depth=2), False),
        (field.path.glob("*.c"), Entry(name=b"a.c", directory=b"lib", depth=2), False),
        (field.path.glob("**/*.c"), Entry(name=b"a.c", depth=1), True),
        (field.path.glob("**/*.c"), Entry(name=b"a.c", depth=0), False),
        (field.path.glob("src/**"), Entry(name=b"src", depth=1), False),
        (field.name.glob("?"), Entry(name="é".encode()), True),
        (field.name.glob("??"), Entry(name=b"\xc3("), True),
        (field.name.glob("[à-ü]"), Entry(name="é".encode()), True),
        (field.name.glob("É*", ignore_case=True), Entry(name="été".encode()), True),
        (field.name.glob("*.PY", ignore_case=True), Entry(name=b"x.Py"), True),
        (field.name.glob(b"\xc3*"), Entry(name="é".encode()), False),
        (field.name.glob("a[*]b"), Entry(name=b"a*b"), True),
        (field.name.regex(r"^a.*z$"), Entry(name=b"abz"), True),
        (field.name.regex(rb"\xff"), Entry(name=b"a\xffb"), True),
        (field.name.regex("py$"), Entry(name=b"x.py\n"), True),
        (field.ino == (1 << 64) - 1, Entry(ino=(1 << 64) - 1), True),
        (field.size > -5, Entry(), True),
        (field.size < 1 << 100, Entry(), True),
        (field.ino > -1, Entry(), True),
        (field.uid == 1 << 70, Entry(), False),
        (field.btime_ns == -1, Entry(), True),
    ],
)
def test_meaning(predicate: Predicate, entry: Entry, expected: bool) -> None:
    assert predicate.test(entry) is expected
    assert (~predicate).test(entry) is not expected


def test_all_of() -> None:
    one, other = field.size > 1, field.uid == 0
    assert all_of([]) is None
    assert all_of([one]) is one
    assert repr(all_of([one, other])) == "(field.size > 1) & (field.uid == 0)"


# -- the native test against the Python one

NAME_ALPHABET = [b"a", b"b", b"A", b".", b"\n", "é".encode(), "É".encode(), b"\xff", b"\xc3", b"*", b"[", b"-", b"\xa9"]
names = st.lists(st.sampled_from(NAME_ALPHABET), min_size=1, max_size=8).map(b"".join)
directories = st.lists(names, max_size=3).map(b"/".join)
glob_parts = st.sampled_from(
    ["a", "b", ".", "é", "É", "A", "*", "?", "[ab]", "[!a]", "[", "]", "[]-a]", "[à-ü]", "\udcff"]
)
globs = st.lists(glob_parts, max_size=6).map("".join)
segments = st.one_of(globs, st.just("**")).filter(lambda segment: segment not in ("", ".", ".."))
path_globs = st.lists(segments, max_size=4).map("/".join)
regexes = st.sampled_from(
    [
        r"a",
        r"^a",
        r"a$",
        r"\.b\Z",
        r"^ab*$",
        r"a|b",
        r"(?i)A",
        r"a.b",
        r"(ab)+",
        r"é",
        r"[ab]\.",
        r"",
        r"^$",
        r"x*",
        r"(?:a|b)c?",
    ]
) | st.sampled_from([rb"a\xff", rb"^\xc3", rb"\xa9$"])
small = st.integers(-2, 5) | st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    number = st.integers(0, 5)
    signed = st.integers(-2, 5) | st.sampled_from([-(1 << 63), (1 << 63) - 1])
    unsigned = number | st.just((1 << 64) - 1)
    directory = draw(directories)
    return Entry(
        name=draw(names),
        directory=directory,
        depth=draw(st.integers(1, 4)) if directory else draw(st.integers(0, 1)),
        type=draw(st.sampled_from(TYPES[1:])),
        mode=draw(number),
        uid=draw(number),
        gid=draw(number),
        nlink=draw(number),
        blksize=draw(number),
        **{key: draw(unsigned) for key in ("ino", "dev", "rdev")},
        **{key: draw(signed) for key in ("size", "blocks", "atime_ns", "mtime_ns", "ctime_ns", "btime_ns")},
    )


@st.composite
def leaves(draw: st.DrawFn) -> Predicate:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return field.type.isin(draw(st.lists(st.sampled_from(TYPES[1:]))))
    if kind <= 3:
        number = getattr(field, draw(st.sampled_from(sorted(NUMBERS))))
        value = draw(small)
        mask = draw(st.integers(0, 7))
        choices = [
            number == value,
            number != value,
            number < value,
            number <= value,
            number > value,
            number >= value,
            number.between(value, draw(small)),
            number.isin(draw(st.lists(small))),
            number.has_all(mask),
            number.has_any(mask),
        ]
        return draw(st.sampled_from(choices))
    text = getattr(field, draw(st.sampled_from(["name", "path", "suffix"])))
    if kind <= 6:
        is_path = repr(text) == "field.path"
        return text.glob(draw(path_globs if is_path else globs), ignore_case=draw(st.booleans()))
    if kind == 7:
        return text.regex(draw(regexes))
    value = draw(names)
    choices = [text < value, text <= value, text > value, text >= value]
    choices += [text.startswith(value), text.endswith(value), text.contains(value)]
    dotted = b"." + value
    choices += [text == dotted, text != dotted, text.isin([dotted, b".a"])]
    return draw(st.sampled_from(choices))


predicates = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=6,
)


def ask_natively(predicate: Predicate, entry: Entry, with_stat: bool) -> bool | None:
    """The native answer, with Python's remainder; None for UNKNOWN."""
    from fastos._backend.native import ffi, lib
    from fastos._backend.native_predicate import NativePredicate

    native = NativePredicate(predicate)
    metadata = ffi.new("struct fo_stat *", {key: getattr(entry, key) for key in NUMBERS if key != "depth"})
    name, directory = ffi.from_buffer(entry.name), ffi.from_buffer(entry.directory)
    view = {
        "name": name,
        "name_length": len(entry.name),
        "directory": directory,
        "directory_length": len(entry.directory),
        "type": TYPES.index(entry.type),
        "depth": entry.depth,
        "stat": metadata if with_stat else ffi.NULL,
    }
    answer = lib.fo_predicate_test(native.handle, ffi.new("struct fo_entry_view *", view))
    assert answer in (0, 1, 2)
    if answer == 2:
        assert native.stat_mask != 0
        return None
    remainder = native.program.remainder
    return bool(answer) and (remainder is None or remainder.test(entry))


@pytest.mark.native
@given(predicates, entries())
def test_native_equals_python(predicate: Predicate, entry: Entry) -> None:
    expected = predicate.test(entry)
    assert ask_natively(predicate, entry, with_stat=True) is expected
    # Without a stat it says the same, or that it does not know.
    assert ask_natively(predicate, entry, with_stat=False) in (expected, None)


@pytest.mark.native
def test_cheap_tests_spare_the_stat() -> None:
    predicate = (field.size > 100) & field.name.glob("*.py") & (field.type == "file")
    assert ask_natively(predicate, Entry(name=b"a.c"), with_stat=False) is False
    assert ask_natively(predicate, Entry(name=b"a.py"), with_stat=False) is None
    assert ask_natively(predicate, Entry(name=b"a.py", size=101), with_stat=True) is True


@pytest.mark.native
@pytest.mark.parametrize("length", [4095, 4096, 5000, 60000])
def test_long_paths(length: int) -> None:
    directory = b"/".join([b"d" * 9] * (length // 10))
    entry = Entry(name=b"a.c", directory=directory, depth=directory.count(b"/") + 2)
    predicate = field.path.glob("**/d*/a.*") & field.path.glob("d*/**/*.c")
    assert predicate.test(entry) is True
    assert ask_natively(predicate, entry, with_stat=False) is True


@pytest.mark.native
def test_long_lists() -> None:
    wanted = [f".{number}" for number in range(70_000)]
    predicate = field.suffix.isin(wanted) | field.ino.isin(range(100_000))
    assert ask_natively(predicate, Entry(name=b"x.69999"), with_stat=False) is True
    assert ask_natively(predicate, Entry(name=b"x.y", ino=99_999), with_stat=True) is True
    assert ask_natively(predicate, Entry(name=b"x.y", ino=100_000), with_stat=True) is False


@pytest.mark.native
@given(st.binary(max_size=64).map(lambda code: b"\x01" + code))
def test_any_bytes_are_refused_or_run(code: bytes) -> None:
    from fastos._backend.native import ffi, lib

    out = ffi.new("struct fo_predicate **")
    if lib.fo_predicate_new(code, len(code), out) == 0:
        view = ffi.new("struct fo_entry_view *", {"name": ffi.from_buffer(b"abc"), "name_length": 3, "depth": 1})
        assert lib.fo_predicate_test(out[0], view) in (0, 1, 2)
        lib.fo_predicate_free(out[0])


@pytest.mark.parametrize(
    ("pattern", "exact"),
    [
        (r"\.py$", True),
        (r"^lib", True),
        ("abc", True),
        (r"^a\Z", True),
        (r"a.c", False),
        ("(?i)abc", False),
        ("é", False),
    ],
)
def test_simple_expressions_need_no_python(pattern: str, exact: bool) -> None:
    assert (compile_predicate(field.name.regex(pattern)).remainder is None) is exact


def test_remainder_is_only_what_needs_python() -> None:
    size, regex = field.size > 5, field.name.regex("a.c")
    program = compile_predicate(size & regex)
    assert repr(program.remainder) == repr(regex)
    assert program.remainder_fields == {"name"}
    assert compile_predicate(size | regex).remainder_fields == {"name", "size"}


def test_names_of_this_system_are_bytes() -> None:
    undecodable = os.fsdecode(b"\xff")
    assert (field.name == undecodable).test(Entry(name=b"\xff"))
