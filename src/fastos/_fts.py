"""fts: libc's fts(3), with its words, as an iterator.

What differs from libc: a directory's second visit is a new Entry (with the first one's `number` and `pointer`), so
that a list of entries stays true; the working directory never changes; few descriptors are open at any depth; paths
may be longer than PATH_MAX; a directory that fails in the middle is visited a second time as FTS_ERR.
"""

import copy
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self

from fastos import _backend
from fastos._stat import FIELDS

if TYPE_CHECKING:
    from fastos._backend import native_stat as backend
else:
    backend = _backend.topic("stat")


class FtsInfo(IntEnum):
    """What an entry is, by libc's names and numbers."""

    FTS_D = 1  # a directory, before what it holds
    FTS_DC = 2  # a directory that the way to it already goes through
    FTS_DEFAULT = 3  # none of the others: a socket, a device, a FIFO
    FTS_DNR = 4  # a directory that cannot be read
    FTS_DOT = 5  # never returned, as by libc without FTS_SEEDOT
    FTS_DP = 6  # a directory, after what it holds
    FTS_ERR = 7  # a directory, after what could be read of it
    FTS_F = 8  # a regular file
    FTS_INIT = 9  # never returned
    FTS_NS = 10  # no metadata to be had: see errno
    FTS_NSOK = 11  # never returned
    FTS_SL = 12  # a symbolic link
    FTS_SLNONE = 13  # a symbolic link to nothing, where links are followed


FTS_D, FTS_DC, FTS_DEFAULT, FTS_DNR = FtsInfo.FTS_D, FtsInfo.FTS_DC, FtsInfo.FTS_DEFAULT, FtsInfo.FTS_DNR
FTS_DP, FTS_ERR, FTS_F, FTS_NS = FtsInfo.FTS_DP, FtsInfo.FTS_ERR, FtsInfo.FTS_F, FtsInfo.FTS_NS
FTS_SL, FTS_SLNONE, FTS_DOT = FtsInfo.FTS_SL, FtsInfo.FTS_SLNONE, FtsInfo.FTS_DOT

_KINDS = {1: FTS_F, 2: FTS_D, 3: FTS_SL}
_POSITIONS = {name: position for position, name in enumerate(FIELDS)}
_DEV, _INO = _POSITIONS["dev"], _POSITIONS["ino"]
_NOTHING = tuple(-1 if name == "btime_ns" else 0 for name in FIELDS)
_MOST_OPEN = 24


class Entry:
    """One visit of one file.

    Attributes:
        info: FTS_D, FTS_F, ...
        path, accpath: root joined with what is below it (the two are the same: the working directory never changes)
        name: the last component
        level: 0 for a root
        errno: of FTS_DNR, FTS_NS and FTS_ERR, else 0
        parent: the Entry of the directory that it is in, None for a root
        cycle: for FTS_DC the Entry of the same directory above it
        number, pointer: the caller's own; 0 and None at first
        size, blocks, mode, uid, gid, nlink, ino, dev, rdev, blksize, atime_ns, mtime_ns, ctime_ns, btime_ns:
            metadata in the kernel's units; 0 for FTS_NS (btime_ns -1 where unknown)
    """

    __slots__ = (
        *("_followed", "_instruction", "_raw", "_values", "accpath", "cycle", "errno", "info", "level", "name"),
        *("number", "parent", "path", "pointer"),
    )

    info: FtsInfo
    path: Any
    accpath: Any
    name: Any
    level: int
    errno: int
    parent: "Entry | None"
    cycle: "Entry | None"
    number: int
    pointer: Any

    def __init__(self, raw: bytes, path: Any, name: Any, parent: "Entry | None") -> None:
        self._raw, self.path, self.accpath, self.name, self.parent = raw, path, path, name, parent
        self.level = 0 if parent is None else parent.level + 1
        self.info, self.errno, self.cycle, self.number, self.pointer = FTS_NS, 0, None, 0, None
        self._instruction, self._followed, self._values = "", False, _NOTHING

    def skip(self) -> None:
        """What this directory (FTS_D) holds is not visited; FTS_DP comes next."""
        self._instruction = "skip"

    def follow(self) -> None:
        """This symbolic link (FTS_SL) comes again as what it leads to."""
        self._instruction = "follow"

    def again(self) -> None:
        """This file comes again, its metadata read anew."""
        self._instruction = "again"

    def __getattr__(self, name: str) -> int:
        position = _POSITIONS.get(name)
        if position is None or name == "type":
            raise AttributeError(f"'Entry' object has no attribute {name!r}")
        value: int = self._values[position]
        return value

    def __repr__(self) -> str:
        return f"<Entry {self.info.name} {self.path!r}>"


class _Frame:
    """A directory that is being visited: its descriptor (None: given back for now) and the entries to come."""

    __slots__ = ("entry", "fd", "rest")

    def __init__(self, entry: Entry, fd: int | None, rest: Iterator[Entry]) -> None:
        self.entry, self.fd, self.rest = entry, fd, rest


Sort = bool | Callable[[Entry], Any] | None


class Fts:
    """An iterator of Entry; a context manager, with close()."""

    def __init__(self, roots: Sequence[Any], logical: bool, same_filesystem: bool, sort: Sort) -> None:
        self._logical, self._same = logical, same_filesystem
        self._key = _by_name if sort is True else sort or None
        self._frames: list[_Frame] = []
        self._above: dict[tuple[int, int], Entry] = {}  # the directories of the frames, by device and inode
        self._current: Entry | None = None
        self._root_dev = 0
        entries = []
        for path in roots:
            raw = os.fsencode(path)
            if not raw:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            name = path if len(raw) == 1 else path[path.rfind("/" if isinstance(path, str) else b"/") + 1 :]
            entries.append(Entry(raw, path, name, None))
        for entry in entries:
            self._stat([entry], None, logical)
        self._roots = iter(sorted(entries, key=self._key) if self._key else entries)

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it; the next step raises StopIteration."""
        while self._frames:
            self._drop(self._frames.pop())
        self._above.clear()
        self._roots, self._current = iter(()), None

    def __del__(self) -> None:
        if getattr(self, "_frames", None):
            self.close()

    def __next__(self) -> Entry:
        entry = self._current
        if entry is not None:
            instruction, entry._instruction = entry._instruction, ""
            if instruction == "again":
                return self._restat(entry, self._logical or entry._followed)
            if instruction == "follow" and entry.info in (FTS_SL, FTS_SLNONE):
                return self._restat(entry, True)
            if entry.info == FTS_D:
                if instruction == "skip" or (self._same and entry.dev != self._root_dev):
                    return self._revisit(entry, FTS_DP)
                return self._enter(entry)
        return self._advance()

    def _revisit(self, entry: Entry, info: FtsInfo) -> Entry:
        """The same file once more, as an Entry of its own."""
        again = copy.copy(entry)
        again.info, again._instruction = info, ""
        self._current = again
        return again

    def _advance(self) -> Entry:
        while self._frames:
            frame = self._frames[-1]
            following = next(frame.rest, None)
            if following is not None:
                self._current = following
                return following
            return self._leave(self._frames.pop())
        self._current = next(self._roots, None)
        if self._current is None:
            raise StopIteration
        self._root_dev = self._current.dev
        return self._current

    def _leave(self, frame: _Frame) -> Entry:
        if self._frames and self._frames[-1].fd is None:
            self._reopen(frame.fd)
        self._drop(frame)
        if self._above.get(_identity(frame.entry)) is frame.entry:
            del self._above[_identity(frame.entry)]
        return self._revisit(frame.entry, FTS_ERR if frame.entry.errno else FTS_DP)

    def _enter(self, entry: Entry) -> Entry:
        try:
            fd = self._open(entry)
        except OSError as error:
            unread = self._revisit(entry, FTS_DNR)
            unread.errno = error.errno or 0
            return unread
        frame = _Frame(entry, fd, iter(()))
        self._frames.append(frame)
        self._above.setdefault(_identity(entry), entry)
        self._give_back(_MOST_OPEN)
        try:
            names = [os.fsencode(name) for name in os.listdir(fd)]
        except OSError as error:
            names, entry.errno = [], error.errno or 0
        sep: Any = b"/" if isinstance(entry.path, bytes) else "/"
        prefix = entry.path if entry.path.endswith(sep) else entry.path + sep
        children = []
        for raw in names:
            name: Any = raw if isinstance(prefix, bytes) else os.fsdecode(raw)
            children.append(Entry(raw, prefix + name, name, entry))
        self._stat(children, fd, self._logical)
        frame.rest = iter(sorted(children, key=self._key) if self._key else children)
        return self._advance()

    # -- metadata

    def _stat(self, entries: list[Entry], dir_fd: int | None, follow: bool) -> None:
        failed = self._fill(entries, dir_fd, follow)
        if follow and failed:
            left = [entry for entry, _ in failed]
            codes = {id(entry): code for entry, code in failed}
            missing = {id(entry) for entry, _ in self._fill(left, dir_fd, False)}
            for entry in left:
                if id(entry) in missing or entry.info != FTS_SL:
                    entry.info, entry.errno, entry._values = FTS_NS, codes[id(entry)], _NOTHING
                else:
                    entry.info, entry.errno = FTS_SLNONE, 0

    def _fill(self, entries: list[Entry], dir_fd: int | None, follow: bool) -> list[tuple[Entry, int]]:
        columns, errors = backend.stat_many([entry._raw for entry in entries], FIELDS, follow, dir_fd, 1)
        rows = zip(*(columns[name].tolist() for name in FIELDS), strict=True)
        for entry, values in zip(entries, rows, strict=True):
            entry._values, entry.errno, entry.cycle = values, 0, None
            entry.info = _KINDS.get(values[_POSITIONS["type"]], FTS_DEFAULT)
            if entry.info == FTS_D:
                self._find_cycle(entry)
        failed = [(entries[index], code) for index, code in errors]
        for entry, code in failed:
            entry.info, entry.errno, entry._values = FTS_NS, code, _NOTHING
        return failed

    def _find_cycle(self, entry: Entry) -> None:
        above = self._above.get(_identity(entry))
        if above is not None:
            entry.info, entry.cycle = FTS_DC, above

    def _restat(self, entry: Entry, follow: bool) -> Entry:
        again = self._revisit(entry, entry.info)
        again._followed = follow
        self._stat([again], self._frames[-1].fd if self._frames else None, follow)
        return again

    # -- descriptors: the deepest directories are open, those above are reopened on the way back

    def _open(self, entry: Entry) -> int:
        follow = self._logical or entry._followed
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        above = self._frames[-1].fd if self._frames else None
        while True:
            try:
                return os.open(entry._raw, flags, dir_fd=above)
            except OSError as error:
                if error.errno != errno.EMFILE or not self._give_back(1):
                    raise

    def _give_back(self, most: int) -> bool:
        """Closes the descriptors of all but the deepest so many directories; whether there was one to close."""
        closed = False
        for frame in reversed(self._frames[:-most]):
            if frame.fd is None:
                break
            self._drop(frame)
            closed = True
        return closed

    def _drop(self, frame: _Frame) -> None:
        fd, frame.fd = frame.fd, None
        if fd is not None:
            os.close(fd)

    def _reopen(self, below: int | None) -> None:
        """Opens the deepest frame's directory again, as the parent of the one below, or else from its root."""
        frame = self._frames[-1]
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        if below is not None:
            try:
                frame.fd = os.open("..", flags, dir_fd=below)
            except OSError:
                pass
            if frame.fd is not None and self._is(frame.fd, frame.entry):
                return
            self._drop(frame)
        fd: int | None = None
        try:
            for step in self._frames:
                following = os.open(step.entry._raw, flags, dir_fd=fd)
                if fd is not None:
                    os.close(fd)
                fd = following
                if not self._is(fd, step.entry):
                    return
            frame.fd, fd = fd, None
        except OSError:
            pass  # what it holds cannot be entered any more: each says so
        finally:
            if fd is not None:
                os.close(fd)

    def _is(self, fd: int, entry: Entry) -> bool:
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == (entry.dev, entry.ino)


def _identity(entry: Entry) -> tuple[int, int]:
    values = entry._values
    return values[_DEV], values[_INO]


def _by_name(entry: Entry) -> bytes:
    return entry._raw


def fts(root: Any, *, logical: bool = False, same_filesystem: bool = False, sort: Sort = None) -> Fts:
    """Visits each file of a tree, a directory before (FTS_D) and after (FTS_DP) what it holds, as fts(3) does.

    Arguments:
        root: a path or a sequence of paths; str gives str, bytes gives bytes
        logical: follow symbolic links (FTS_LOGICAL); else they are visited themselves (FTS_PHYSICAL)
        same_filesystem: do not enter directories on another device than their root's (FTS_XDEV)
        sort: True: by the bytes of the names; a function: the key of an Entry; None: as the directory has them

    An error is an entry (FTS_NS, FTS_DNR, FTS_ERR) with its errno, a missing root too. Raises FileNotFoundError for an
    empty path, TypeError for what is no path, NotImplementedError where there are no directory descriptors.
    """
    if os.open not in os.supports_dir_fd or os.listdir not in os.supports_fd:
        raise NotImplementedError("fts needs directory descriptors (openat), which this platform does not have")
    roots = [root] if isinstance(root, str | bytes | os.PathLike) else list(root)
    return Fts([os.fspath(path) for path in roots], logical, same_filesystem, sort)
