"""What a scan was asked for, checked and encoded, as the backends take it."""

import operator
import os
from collections.abc import Iterable
from typing import Any

TYPES = ("unknown", "file", "directory", "symlink", "fifo", "socket", "char", "block")

# field -> the format of its column (struct's letters)
FIELDS: dict[str, str] = {
    "size": "q",
    "blocks": "q",
    "mode": "I",
    "uid": "I",
    "gid": "I",
    "nlink": "I",
    "ino": "Q",
    "dev": "Q",
    "atime_ns": "q",
    "mtime_ns": "q",
    "ctime_ns": "q",
    "btime_ns": "q",
}


class Options:
    """The arguments of fastos.scan as a backend takes them. What is not said is the class's: making one is quick."""

    follow_symlinks: bool = False
    same_filesystem: bool = False
    sort: bool = False
    min_depth: int = 1
    max_depth: int | None = None
    threads: int | None = None
    dir_fd: int | None = None
    where: Any = None  # fastos._predicate.Predicate
    prune: Any = None
    where_code: bytes | None = None  # the program of where for the compiled core
    prune_code: bytes | None = None
    ignore: Any = None
    max_entries: int | None = None
    max_nanoseconds: int | None = None
    frontier: tuple[bytes, ...] | None = None
    visited: bytes = b""

    def __init__(self, root: bytes, text: bool, fields: tuple[str, ...]) -> None:
        self.root = root
        self.text = text
        self.fields = fields  # without "type", which is always there
        self.wanted = fields  # those that the caller asked for


def check_root(root: "str | bytes | os.PathLike[str] | os.PathLike[bytes]") -> tuple[bytes, bool]:
    """(the root as bytes, whether paths are to be str). Raises TypeError or ValueError."""
    if type(root) is not str and type(root) is not bytes:
        root = os.fspath(root)
    encoded = os.fsencode(root)
    if b"\0" in encoded:
        raise ValueError("embedded null byte in root")
    return encoded, isinstance(root, str)


def check_fields(fields: Iterable[str]) -> tuple[str, ...]:
    """The columns to fill. Raises TypeError for a lone string, ValueError for an unknown name."""
    if fields == ("type",):
        return ()
    if isinstance(fields, str | bytes):
        raise TypeError(f"fields is a sequence of names: ({fields!r},)")
    found = tuple(dict.fromkeys(fields))
    for name in found:
        if name not in FIELDS and name not in ("type", "path", "name", "depth"):
            raise ValueError(f"unknown field {name!r}; use type, {', '.join(FIELDS)}")
    return tuple(name for name in found if name in FIELDS)


def check_number(name: str, value: object, least: int) -> int:
    """A whole number of at least `least`. Raises TypeError or ValueError."""
    number = operator.index(value)  # type: ignore[arg-type]
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return min(number, 0x7FFFFFFF)
