"""Predicates: conditions on entries, as trees of plain data. `field` (_field.py) makes them.

A predicate is built once, checked while it is built, and tested natively on every entry (_predicate_program.py);
the methods `test` here say the same in plain Python, for the standard-library backend, for what only Python's `re`
can decide, and as the yardstick of the native ones.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, Protocol

from fastos import _glob

TYPES: Final = ("unknown", "file", "directory", "symlink", "fifo", "socket", "char", "block")
# The numbers, in the order of enum fo_predicate_number; whether each is signed.
NUMBERS: Final = {
    "depth": False,
    "size": True,
    "blocks": True,
    "ino": False,
    "dev": False,
    "rdev": False,
    "mode": False,
    "uid": False,
    "gid": False,
    "nlink": False,
    "blksize": False,
    "atime_ns": True,
    "mtime_ns": True,
    "ctime_ns": True,
    "btime_ns": True,
}
TEXTS: Final = ("name", "suffix", "path")

TextOperation = Literal["equal", "starts", "ends", "contains", "below", "at_most"]


class Row(Protocol):
    """An entry as the Python evaluator sees it; beside these the numbers that the predicate looks at, as attributes."""

    @property
    def name(self) -> bytes: ...
    @property
    def path(self) -> bytes:
        """Below the root, without it; empty for the root itself."""

    @property
    def type(self) -> str: ...


def suffix_of(name: bytes) -> bytes:
    """The name from its last dot; empty where that is its first or last byte."""
    dot = name.rfind(b".")
    return name[dot:] if 0 < dot < len(name) - 1 else b""


def _text_of(row: Row, subject: str) -> bytes:
    if subject == "suffix":
        return suffix_of(row.name)
    return row.name if subject == "name" else row.path


class Predicate:
    """A condition on entries, made from `field`. Combine with `&`, `|` and `~`, each side in parentheses."""

    __slots__ = ()

    def test(self, row: Row) -> bool:
        """Whether an entry meets it, decided in Python."""
        raise NotImplementedError

    @property
    def fields(self) -> frozenset[str]:
        """The fields it looks at: `name`, `path`, `type`, `size`, ..."""
        raise NotImplementedError

    def __and__(self, other: "Predicate") -> "Predicate":
        return _combine(And, self, other) if isinstance(other, Predicate) else NotImplemented

    def __or__(self, other: "Predicate") -> "Predicate":
        return _combine(Or, self, other) if isinstance(other, Predicate) else NotImplemented

    def __invert__(self) -> "Predicate":
        return self.term if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a predicate has no truth value of its own: combine with & | ~ instead of and, or, not, each comparison in "
            "parentheses, and write field.size.between(a, b) instead of a <= field.size <= b"
        )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class And(Predicate):
    terms: tuple[Predicate, ...]

    def test(self, row: Row) -> bool:
        return all(term.test(row) for term in self.terms)

    @property
    def fields(self) -> frozenset[str]:
        return frozenset().union(*(term.fields for term in self.terms))

    def __repr__(self) -> str:
        return " & ".join(map(_bracketed, self.terms))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Or(Predicate):
    terms: tuple[Predicate, ...]

    def test(self, row: Row) -> bool:
        return any(term.test(row) for term in self.terms)

    @property
    def fields(self) -> frozenset[str]:
        return frozenset().union(*(term.fields for term in self.terms))

    def __repr__(self) -> str:
        return " | ".join(map(_bracketed, self.terms))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Not(Predicate):
    term: Predicate

    def test(self, row: Row) -> bool:
        return not self.term.test(row)

    @property
    def fields(self) -> frozenset[str]:
        return self.term.fields

    def __repr__(self) -> str:
        return f"~{_bracketed(self.term)}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class NotLeaf(Not):
    """A negation that was written as one condition."""

    written: str

    def __repr__(self) -> str:
        return self.written

    def __invert__(self) -> Predicate:
        return Not(self)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Leaf(Predicate):
    """A condition on one field, and how it was written."""

    subject: str
    written: str

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(("name",) if self.subject == "suffix" else (self.subject,))

    def __repr__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Constant(Leaf):
    value: bool

    def test(self, row: Row) -> bool:
        return self.value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TypeIn(Leaf):
    types: frozenset[str]

    def test(self, row: Row) -> bool:
        return row.type in self.types


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Range(Leaf):
    """least <= number <= most; None leaves that side open."""

    least: int | None
    most: int | None

    def test(self, row: Row) -> bool:
        number: int = getattr(row, self.subject)
        return (self.least is None or self.least <= number) and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class NumberIn(Leaf):
    numbers: frozenset[int]

    def test(self, row: Row) -> bool:
        return getattr(row, self.subject) in self.numbers


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Bits(Leaf):
    """(number & mask) == value."""

    mask: int
    value: int

    def test(self, row: Row) -> bool:
        number: int = getattr(row, self.subject)
        return number & self.mask == self.value


_OPERATIONS: dict[TextOperation, Callable[[bytes, bytes], bool]] = {
    "equal": bytes.__eq__,
    "starts": bytes.startswith,
    "ends": bytes.endswith,
    "contains": bytes.__contains__,
    "below": bytes.__lt__,
    "at_most": bytes.__le__,
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Text(Leaf):
    operation: TextOperation
    value: bytes

    def test(self, row: Row) -> bool:
        return _OPERATIONS[self.operation](_text_of(row, self.subject), self.value)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TextIn(Leaf):
    values: frozenset[bytes]

    def test(self, row: Row) -> bool:
        return _text_of(row, self.subject) in self.values


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Glob(Leaf):
    tokens: tuple[_glob.Token, ...]

    def test(self, row: Row) -> bool:
        text = _glob.decode(_text_of(row, self.subject))
        return _glob.compile_python(self.tokens).fullmatch(text) is not None


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Regex(Leaf):
    pattern: re.Pattern[str] | re.Pattern[bytes]

    def test(self, row: Row) -> bool:
        text = _text_of(row, self.subject)
        pattern: re.Pattern[Any] = self.pattern
        return pattern.search(text if isinstance(pattern.pattern, bytes) else _glob.decode(text)) is not None


def _bracketed(predicate: Predicate) -> str:
    text = repr(predicate)
    bare = isinstance(predicate, Not) or (isinstance(predicate, Leaf) and " " not in text)
    return text if bare or (text.endswith(")") and isinstance(predicate, Leaf)) else f"({text})"


def _combine(kind: type[And] | type[Or], left: Predicate, right: Predicate) -> Predicate:
    terms: list[Predicate] = []
    for side in (left, right):
        terms += side.terms if isinstance(side, kind) else (side,)
    return kind(tuple(terms))


def all_of(predicates: Sequence[Predicate]) -> Predicate | None:
    """All of them joined by `&`, or None for none."""
    if len(predicates) < 2:
        return predicates[0] if predicates else None
    return And(tuple(predicates))
