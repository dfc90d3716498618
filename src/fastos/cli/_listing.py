"""How entries are written: lines, NUL-separated, JSON Lines, long; and what a terminal is spared."""

import base64
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from fastos._entry import Entry

_AWKWARD: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPES: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\x1b": "\\e"}


def write_all(fd: int, data: "bytes | memoryview") -> None:
    """Writes everything; a signal's exception comes through in between."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{ord(character):04x}"


def printable(path: bytes) -> str:
    """A path for people: control characters, and bytes that are no characters, as backslash escapes."""
    return _AWKWARD.sub(_escape, os.fsdecode(path))


def named(path: "str | bytes | os.PathLike[Any]") -> str:
    """A path in a message: printable, and to be seen though empty."""
    return printable(os.fsencode(path)) or "''"


def lines(blocks: Iterable[bytes], *, zero: bool, terminal: bool) -> Iterator[bytes]:
    """Blocks of NUL-separated paths as they are written."""
    for block in blocks:
        if zero:
            yield block + b"\0"
        elif not terminal:
            yield block.replace(b"\0", b"\n") + b"\n"
        else:
            text = "\n".join(map(printable, block.split(b"\0"))) + "\n"
            yield text.encode("utf-8", "backslashreplace")


def path_record(path: bytes) -> dict[str, str]:
    """A path for JSON: `path`; where that is not UTF-8 it has U+FFFD in place of what is not, and `path_bytes` is the
    path itself in base64."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path.decode("utf-8", "replace"), "path_bytes": base64.b64encode(path).decode("ascii")}


def to_json(path: bytes, kind: str, fields: dict[str, int]) -> str:
    """One entry as a line of JSON: its path, `type` and the fields asked for."""
    return json.dumps({**path_record(path), "type": kind, **fields}, ensure_ascii=False)


def json_line(entry: Entry, names: tuple[str, ...]) -> str:
    return to_json(entry.path, entry.type, {name: getattr(entry, name) for name in names})


@cache
def _name_of(number: int, kind: str) -> str:
    try:
        if kind == "user":
            import pwd

            return pwd.getpwuid(number).pw_name
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


LONG_FIELDS: Final = ("mode", "nlink", "uid", "gid", "size", "mtime_ns")


def long_line(entry: Entry, show: Callable[[bytes], str]) -> str:
    """One entry with its mode, links, owner, size and time."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.mtime_ns // 1_000_000_000))
    owner = f"{_name_of(entry.uid, 'user'):8} {_name_of(entry.gid, 'group'):8}"
    return f"{stat.filemode(entry.mode)} {entry.nlink:3} {owner} {entry.size:>12} {when} {show(entry.path)}"


def text_blocks(batches: Iterable[list[Entry]], line: Callable[[Entry], str]) -> Iterator[bytes]:
    """The lines of each batch as one piece."""
    for entries in batches:
        if entries:
            yield ("\n".join(map(line, entries)) + "\n").encode("utf-8", "surrogateescape")
