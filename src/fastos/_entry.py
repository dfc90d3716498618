"""Entry: one file or directory that a scan found."""

import functools
import os
import stat as stat_bits
from collections.abc import Callable
from typing import Any, NoReturn

from fastos._scan_options import FIELDS

try:
    # What namedtuple uses: the quickest attribute there is.
    from _collections import _tuplegetter as _column  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # another interpreter

    def _column(index: int, doc: str) -> Any:
        return property(lambda self: tuple.__getitem__(self, index), doc=doc)


def _missing(name: str) -> property:
    def get(self: "Entry") -> NoReturn:
        asked = ", ".join(repr(each) for each in (*self._fields, name))
        raise AttributeError(f"{name!r} was not asked for; use scan(..., fields=({asked},))", name=name, obj=self)

    return property(get, doc=f"{name}, if it was asked for in fields=.")


class Entry(tuple[Any, ...]):
    """One entry. Attributes: `path` (the root joined with what is below it), `name`, `depth` (the root is 0), `type`
    ("file", "directory", "symlink", "fifo", "socket", "char", "block" or "unknown"), and each field asked for in
    `fields=`: `size` (bytes), `blocks` (of 512 bytes), `mode`, `uid`, `gid`, `nlink`, `ino`, `dev`, `atime_ns`,
    `mtime_ns`, `ctime_ns`, `btime_ns` (nanoseconds since the epoch; -1 where the birth time is not known).

    Reading a field that was not asked for raises AttributeError naming what to add. An entry is an os.PathLike, and
    has the questions of os.DirEntry. It never changes: it tells what the scan saw.
    """

    # A tuple underneath, because a million of them are made in bulk: path, type, length of the root's prefix, fields.
    __slots__ = ()
    _fields: tuple[str, ...] = ()

    path: Any = _column(0, "The root joined with what is below it; str, or bytes if the root was.")
    type: Any = _column(1, "What it is: 'file', 'directory', 'symlink', ...")
    size: Any = _missing("size")
    blocks: Any = _missing("blocks")
    mode: Any = _missing("mode")
    uid: Any = _missing("uid")
    gid: Any = _missing("gid")
    nlink: Any = _missing("nlink")
    ino: Any = _missing("ino")
    dev: Any = _missing("dev")
    atime_ns: Any = _missing("atime_ns")
    mtime_ns: Any = _missing("mtime_ns")
    ctime_ns: Any = _missing("ctime_ns")
    btime_ns: Any = _missing("btime_ns")

    @property
    def name(self) -> Any:
        """The last component of the path."""
        path = self[0]
        if len(path) < self[2]:
            return os.path.basename(path.rstrip("/" if isinstance(path, str) else b"/")) or path
        return path[path.rfind("/" if isinstance(path, str) else b"/") + 1 :]

    @property
    def depth(self) -> int:
        """How far below the root: 0 for the root itself, 1 for what is in it."""
        path = self[0]
        if len(path) <= self[2]:
            return 0
        below: int = path.count("/" if isinstance(path, str) else b"/", self[2])
        return below + 1

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory; for a symbolic link its target is looked at now, unless told not to."""
        if self[1] == "symlink" and follow_symlinks:
            return os.path.isdir(self[0])
        return bool(self[1] == "directory")

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file; for a symbolic link its target is looked at now, unless told not to."""
        if self[1] == "symlink" and follow_symlinks:
            return os.path.isfile(self[0])
        return bool(self[1] == "file")

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return bool(self[1] == "symlink")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """os.stat of the path, now. Raises OSError."""
        return os.stat(self[0], follow_symlinks=follow_symlinks)

    def __fspath__(self) -> Any:
        return self[0]

    def __repr__(self) -> str:
        shown = "".join(f", {name}={self._show(name)}" for name in self._fields)
        return f"<Entry {self[0]!r}, {self[1]}{shown}>"

    def _show(self, name: str) -> str:
        value = getattr(self, name)
        return stat_bits.filemode(value) if name == "mode" else str(value)

    def __reduce__(self) -> tuple[Callable[..., "Entry"], tuple[Any, ...]]:
        return _restore, (self._fields, tuple(self))


def _restore(fields: tuple[str, ...], values: tuple[Any, ...]) -> Entry:
    return tuple.__new__(entry_class(fields), values)


@functools.lru_cache(maxsize=256)
def entry_class(fields: tuple[str, ...]) -> type[Entry]:
    """The kind of Entry that has these fields."""
    columns: dict[str, Any] = {name: _column(3 + index, name) for index, name in enumerate(fields)}
    assert set(fields) <= set(FIELDS)
    return type("Entry", (Entry,), {**columns, "__slots__": (), "_fields": fields, "__module__": "fastos"})
