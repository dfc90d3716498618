"""stat and stat_many: os.stat's values and the time of birth, for one path or for many at once."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fastos import _backend
from fastos._errors import error_from_errno

if TYPE_CHECKING:
    from fastos._backend import native_stat as backend
else:
    backend = _backend.topic("stat")

StatResult = os.stat_result
Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# field -> its format in a memoryview: q int64, Q uint64, I uint32, b uint8
FIELDS: dict[str, str] = {
    **dict.fromkeys(("size", "blocks", "atime_ns", "mtime_ns", "ctime_ns", "btime_ns"), "q"),
    **dict.fromkeys(("ino", "dev", "rdev"), "Q"),
    **dict.fromkeys(("mode", "uid", "gid", "nlink", "blksize"), "I"),
    "type": "b",
}
_WORTH_A_THREAD = 2048


class Stat(tuple[float, ...]):
    """What os.stat returns: the same ten numbers as a tuple, the same st_ attributes, and the time of birth.

    os.stat_result cannot be subclassed, so `isinstance(result, os.stat_result)` is false; `.os` is a real one.

    Attributes:
        btime_ns: nanoseconds since the epoch at which the file was made, None where the file system does not tell
            (also as st_birthtime_ns, and st_birthtime in seconds)
        os: the same as an os.stat_result
    """

    os: StatResult
    btime_ns: int | None

    def __new__(cls, status: StatResult, btime_ns: int) -> Self:
        self = super().__new__(cls, tuple(status))
        self.os = status
        self.btime_ns = None if btime_ns == -1 else btime_ns
        return self

    @property
    def st_birthtime_ns(self) -> int | None:
        """The same as btime_ns, by the standard library's name."""
        return self.btime_ns

    @property
    def st_birthtime(self) -> float | None:
        """btime_ns in seconds."""
        return None if self.btime_ns is None else self.btime_ns / 1e9

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("st_", "n_")):
            return getattr(self.os, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"{self.os!r:.{len(repr(self.os)) - 1}}, btime_ns={self.btime_ns})".replace("os.stat_result", "Stat", 1)

    def __reduce__(self) -> Any:
        return type(self), (self.os, -1 if self.btime_ns is None else self.btime_ns)


def stat(path: int | Path, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Stat:
    """The metadata of a file: os.stat's, and the time of birth, from one system call (statx(2) on Linux).

    Arguments:
        path: a path or an open descriptor
        dir_fd: the directory that a relative path starts from
        follow_symlinks: False: a symbolic link is described itself

    Raises what os.stat raises, in the same cases.
    """
    if type(path) is int and path >= 0 and dir_fd is None and follow_symlinks:
        raw: bytes | int | None = path
    elif isinstance(path, str | bytes | os.PathLike) and (dir_fd is None or type(dir_fd) is int):
        raw = _encode(path)
    else:
        raw = None
    found = None if raw is None else backend.stat(raw, bool(follow_symlinks), dir_fd)
    if found is not None:
        return Stat(os.stat_result(found[0]), found[1])
    # Something is wrong with it: os.stat says what, in its own words.
    status: os.stat_result = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    seconds = getattr(status, "st_birthtime", None)
    return Stat(status, getattr(status, "st_birthtime_ns", -1 if seconds is None else int(seconds * 1e9)))


def _encode(path: Path) -> bytes | None:
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:
        return None
    return raw if raw and b"\0" not in raw else None


@dataclass(frozen=True)
class StatColumns:
    """The metadata of many paths.

    Attributes:
        columns: field -> memoryview with one number a path, in the order of the paths
        errors: index of a path -> OSError, for each that failed; its numbers are 0 (btime_ns: -1)
    """

    columns: Mapping[str, memoryview]
    errors: Mapping[int, OSError]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, field: str) -> memoryview:
        return self.columns[field]

    def column(self, field: str) -> memoryview:
        """The same as [field], by the name that a Batch of a scan has for it. Raises KeyError."""
        return self.columns[field]


def stat_many(
    paths: Iterable[Path],
    fields: Sequence[str] = ("size",),
    *,
    follow_symlinks: bool = True,
    dir_fd: int | None = None,
    threads: int | None = None,
) -> StatColumns:
    """Reads the metadata of many paths in one call without the GIL, and asks only for what `fields` needs.

    Arguments:
        paths: str, bytes or PathLike
        fields: any of size (bytes), blocks (of 512 bytes), mode, type (0 unknown, 1 file, 2 directory, 3 symlink, 4
            fifo, 5 socket, 6 char, 7 block), uid, gid, nlink, ino, dev, rdev, blksize, and atime_ns, mtime_ns,
            ctime_ns, btime_ns (nanoseconds since the epoch; btime_ns -1 where unknown)
        follow_symlinks: False: symbolic links are described themselves
        dir_fd: the directory that relative paths start from
        threads: how many to use; None: one a processor where there are thousands of paths. More are of use where
            each answer has to be waited for (a network, a disk).

    A path that fails does not stop the others: see StatColumns.errors. Raises ValueError for an unknown field or
    number of threads, TypeError for something that is no path.
    """
    formats = {}
    for field in fields:
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; there are {', '.join(FIELDS)}")
        formats[field] = FIELDS[field]
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"paths are several: for one, write [{paths!r}]")
    names = list(paths)
    raw = [os.fsencode(path) for path in names]
    if threads is None:
        threads = min(os.cpu_count() or 1, 1 + len(raw) // _WORTH_A_THREAD)
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    columns, failed = backend.stat_many(raw, formats, bool(follow_symlinks), dir_fd, threads)
    errors = {index: error_from_errno(code, os.fspath(names[index])) for index, code in failed}
    return StatColumns(columns, errors, len(raw))
