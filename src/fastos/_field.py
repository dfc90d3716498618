"""`field`: what a scan is asked for, said as an expression.

    from fastos import field
    where = (field.size > 1 << 20) & field.name.glob("*.py") & ~(field.type == "symlink")

Each comparison makes a predicate (_predicate.py) and is checked at once.
"""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from operator import index
from typing import Final, NoReturn

from fastos import _glob
from fastos._predicate import (
    NUMBERS,
    TEXTS,
    TYPES,
    Bits,
    Glob,
    NotLeaf,
    NumberIn,
    Predicate,
    Range,
    Regex,
    Text,
    TextIn,
    TextOperation,
    TypeIn,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def require(predicate: object, argument: str) -> Predicate:
    """The predicate given for an argument. Raises TypeError for anything else, saying what to write."""
    if isinstance(predicate, _Field):
        raise TypeError(f"{argument}={predicate!r} is a field, not a predicate: compare it with something")
    if not isinstance(predicate, Predicate):
        raise TypeError(
            f"{argument} must be a predicate made from fastos.field, such as field.size > 1000, not {predicate!r}"
        )
    return predicate


class _Field:
    """What all fields share."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"field.{self._name}"

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no truth value: compare it with something")

    def _several(self, values: object) -> list[object]:
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise TypeError(f"{self!r}.isin() takes a list of values, not {values!r}")
        return list(values)


class NumberField(_Field):  # noqa: PLW1641  (== makes a predicate)
    """A number of an entry: compare with `==`, `!=`, `<`, `<=`, `>`, `>=`, `.between()`, `.isin()`; test bits.

    Numbers are whole. The `*_ns` fields are nanoseconds since the epoch and take a `datetime` too (a naive one is local
    time). Only `depth` is known without a stat of the entry.
    """

    __slots__ = ()

    def _number(self, value: object) -> int:
        if isinstance(value, datetime) and self._name.endswith("_ns"):
            return (value.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            hint = ", or a datetime" if self._name.endswith("_ns") else ""
            raise TypeError(f"{self!r} is compared with an int{hint}, not with {value!r}")
        return index(value)

    def _range(self, sign: str, value: object, least: int | None, most: int | None) -> Predicate:
        return Range(self._name, f"{self!r} {sign} {value!r}", least, most)

    def __eq__(self, value: object) -> Predicate:  # type: ignore[override]
        number = self._number(value)
        return self._range("==", value, number, number)

    def __ne__(self, value: object) -> Predicate:  # type: ignore[override]
        number = self._number(value)
        return NotLeaf(self._range("==", value, number, number), f"{self!r} != {value!r}")

    def __lt__(self, value: int | datetime) -> Predicate:
        return self._range("<", value, None, self._number(value) - 1)

    def __le__(self, value: int | datetime) -> Predicate:
        return self._range("<=", value, None, self._number(value))

    def __gt__(self, value: int | datetime) -> Predicate:
        return self._range(">", value, self._number(value) + 1, None)

    def __ge__(self, value: int | datetime) -> Predicate:
        return self._range(">=", value, self._number(value), None)

    def between(self, least: int | datetime, most: int | datetime) -> Predicate:
        """`least <= number <= most`."""
        written = f"{self!r}.between({least!r}, {most!r})"
        return Range(self._name, written, self._number(least), self._number(most))

    def isin(self, values: Iterable[int]) -> Predicate:
        """The number is one of these."""
        listed = self._several(values)
        return NumberIn(self._name, f"{self!r}.isin({listed!r})", frozenset(map(self._number, listed)))

    def _mask(self, mask: object) -> int:
        number = self._number(mask)
        if not 0 <= number < 1 << 64:
            raise ValueError(f"a mask is between 0 and 2**64 - 1, not {mask!r}")
        return number

    def has_all(self, mask: int) -> Predicate:
        """Every bit of the mask is set in the number: `field.mode.has_all(stat.S_ISUID | stat.S_IXOTH)`."""
        return Bits(self._name, f"{self!r}.has_all({mask:#o})", self._mask(mask), mask)

    def has_any(self, mask: int) -> Predicate:
        """At least one bit of the mask is set in the number: `field.mode.has_any(0o022)`."""
        return NotLeaf(Bits(self._name, "", self._mask(mask), 0), f"{self!r}.has_any({mask:#o})")


class TextField(_Field):  # noqa: PLW1641  (== makes a predicate)
    """A text of an entry: `==`, `!=`, `<`, ... (in byte order), `.isin()`, `.startswith()`, `.endswith()`,
    `.contains()`, `.glob()`, `.regex()`.

    Texts are bytes; a `str` given is encoded with `os.fsencode`. `name` is the last component, `suffix` the name from
    its last dot (empty where that is the first or last character), `path` the path below the root, without the root.
    """

    __slots__ = ()

    def _bytes(self, value: object) -> bytes:
        if not isinstance(value, (str, bytes, os.PathLike)):
            raise TypeError(f"{self!r} is compared with str or bytes, not with {value!r}")
        return os.fsencode(value)

    def _text(self, sign: str, operation: TextOperation, value: object) -> Predicate:
        encoded = self._bytes(value)
        if operation == "equal":
            self._check_possible(encoded)
        return Text(self._name, f"{self!r} {sign} {value!r}", operation, encoded)

    def _check_possible(self, value: bytes) -> None:
        if self._name == "suffix" and value and not value.startswith(b"."):
            raise ValueError(f"a suffix begins with a dot: {os.fsdecode(b'.' + value)!r}, not {os.fsdecode(value)!r}")
        if self._name != "path" and b"/" in value:
            raise ValueError(f"a {self._name} holds no slash: use field.path for {os.fsdecode(value)!r}")

    def __eq__(self, value: object) -> Predicate:  # type: ignore[override]
        return self._text("==", "equal", value)

    def __ne__(self, value: object) -> Predicate:  # type: ignore[override]
        return NotLeaf(self._text("==", "equal", value), f"{self!r} != {value!r}")

    def __lt__(self, value: str | bytes) -> Predicate:
        return self._text("<", "below", value)

    def __le__(self, value: str | bytes) -> Predicate:
        return self._text("<=", "at_most", value)

    def __gt__(self, value: str | bytes) -> Predicate:
        return NotLeaf(self._text("<=", "at_most", value), f"{self!r} > {value!r}")

    def __ge__(self, value: str | bytes) -> Predicate:
        return NotLeaf(self._text("<", "below", value), f"{self!r} >= {value!r}")

    def isin(self, values: Iterable[str | bytes]) -> Predicate:
        """The text is one of these."""
        listed = self._several(values)
        encoded = frozenset(map(self._bytes, listed))
        for value in encoded:
            self._check_possible(value)
        return TextIn(self._name, f"{self!r}.isin({listed!r})", encoded)

    def _method(self, method: str, operation: TextOperation, value: object) -> Predicate:
        return Text(self._name, f"{self!r}.{method}({value!r})", operation, self._bytes(value))

    def startswith(self, value: str | bytes) -> Predicate:
        """The text begins with these bytes."""
        return self._method("startswith", "starts", value)

    def endswith(self, value: str | bytes) -> Predicate:
        """The text ends with these bytes."""
        return self._method("endswith", "ends", value)

    def contains(self, value: str | bytes) -> Predicate:
        """These bytes are in the text."""
        return self._method("contains", "contains", value)

    def glob(self, pattern: str | bytes, *, ignore_case: bool = False) -> Predicate:
        """The whole text matches the pattern.

        For `name` and `suffix` as in `fnmatch` (a leading dot is nothing special): `*`, `?`, `[a-z]`, `[!a-z]`. For
        `path` as in `pathlib.PurePath.full_match`: `*` and `?` stop at a slash, a segment `**` is any number of
        directories. There is no escape but the class: `[*]`. `?` and classes take one character where the text is
        UTF-8 and one byte where it is not. `ignore_case` pairs letters one to one, as Unicode's lower case does.

        Raises ValueError for a pattern that nothing can match: a slash in a name; in a path one in front or at the end,
        or a part that is empty, `.` or `..`.
        """
        text = _glob.decode(self._bytes(pattern))
        if self._name != "path" and "/" in text:
            raise ValueError(f"a {self._name} holds no slash: use field.path.glob({pattern!r})")
        if self._name == "path" and text and not {"", ".", ".."}.isdisjoint(text.split("/")):
            raise ValueError(
                f"field.path is below the root, such as src/main.c: no part of it is empty, '.' or '..': {pattern!r}"
            )
        tokens = _glob.parse(text, "path" if self._name == "path" else "name", bool(ignore_case))
        suffix = ", ignore_case=True" if ignore_case else ""
        return Glob(self._name, f"{self!r}.glob({pattern!r}{suffix})", tokens)

    def regex(self, pattern: str | bytes | re.Pattern[str] | re.Pattern[bytes], flags: int = 0) -> Predicate:
        """`re.search` finds the pattern in the text: in its characters for a `str` pattern, in its bytes for `bytes`.

        Python's `re` decides, on those entries only that a native test of what the pattern needs leaves over.
        Raises ValueError for a pattern that does not compile.
        """
        source = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        if not isinstance(source, (str, bytes)):
            raise TypeError(f"{self!r}.regex() takes a pattern, not {pattern!r}")
        try:
            compiled: re.Pattern[str] | re.Pattern[bytes] = re.compile(pattern, flags)
        except re.error as error:
            raise ValueError(f"{self!r}.regex({source!r}): {error}") from None
        return Regex(self._name, f"{self!r}.regex({source!r})", compiled)


class TypeField(_Field):  # noqa: PLW1641  (== makes a predicate)
    """What an entry is: `==`, `!=`, `.isin()`; "file", "directory", "symlink", "fifo", "socket", "char" or "block"."""

    __slots__ = ()

    def _type(self, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{self!r} is compared with a str, not with {value!r}")
        if value not in TYPES:
            near = get_close_matches(value, TYPES, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{value!r} is no type of entry; there are {', '.join(TYPES)}{hint}")
        return value

    def __eq__(self, value: object) -> Predicate:  # type: ignore[override]
        return TypeIn("type", f"{self!r} == {value!r}", frozenset((self._type(value),)))

    def __ne__(self, value: object) -> Predicate:  # type: ignore[override]
        return NotLeaf(self == value, f"{self!r} != {value!r}")

    def isin(self, values: Iterable[str]) -> Predicate:
        """The type is one of these."""
        listed = self._several(values)
        return TypeIn("type", f"{self!r}.isin({listed!r})", frozenset(map(self._type, listed)))


class Fields:
    """The fields of an entry. `field` is the one there is."""

    __slots__ = ()

    name: Final = TextField("name")
    suffix: Final = TextField("suffix")
    path: Final = TextField("path")
    type: Final = TypeField("type")
    depth: Final = NumberField("depth")
    size: Final = NumberField("size")
    blocks: Final = NumberField("blocks")
    ino: Final = NumberField("ino")
    dev: Final = NumberField("dev")
    rdev: Final = NumberField("rdev")
    mode: Final = NumberField("mode")
    uid: Final = NumberField("uid")
    gid: Final = NumberField("gid")
    nlink: Final = NumberField("nlink")
    blksize: Final = NumberField("blksize")
    atime_ns: Final = NumberField("atime_ns")
    mtime_ns: Final = NumberField("mtime_ns")
    ctime_ns: Final = NumberField("ctime_ns")
    btime_ns: Final = NumberField("btime_ns")

    def __getattr__(self, name: str) -> NoReturn:
        names = [*TEXTS, "type", *NUMBERS]
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean field.{near[0]}?" if near else ""
        raise AttributeError(f"an entry has no field {name!r}: there are {', '.join(names)}{hint}")

    def __repr__(self) -> str:
        return "field"


field: Final = Fields()
