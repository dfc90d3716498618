"""Scanning by the standard library: the same semantics over os.scandir, in the caller's thread.

Used where the core is not compiled, and for what only Python can decide (a prune= with a regular expression).
"""

import errno
import os
import stat as stat_bits
import time
from collections.abc import Generator, Iterator
from typing import Any

from fastos._batch import ListRows, Rows
from fastos._errors import error_from_errno
from fastos._scan_options import TYPES, Options

_CODE = {name: number for number, name in enumerate(TYPES)}
_BATCH = 1024
_EAGER = 64  # so many entries go out at once, at the beginning

# field -> how os.stat_result says it
_STAT = {
    "size": "st_size",
    "blocks": "st_blocks",
    "mode": "st_mode",
    "uid": "st_uid",
    "gid": "st_gid",
    "nlink": "st_nlink",
    "ino": "st_ino",
    "dev": "st_dev",
    "rdev": "st_rdev",
    "blksize": "st_blksize",
    "atime_ns": "st_atime_ns",
    "mtime_ns": "st_mtime_ns",
    "ctime_ns": "st_ctime_ns",
}
_KINDS = {
    stat_bits.S_IFREG: "file",
    stat_bits.S_IFDIR: "directory",
    stat_bits.S_IFLNK: "symlink",
    stat_bits.S_IFIFO: "fifo",
    stat_bits.S_IFSOCK: "socket",
    stat_bits.S_IFCHR: "char",
    stat_bits.S_IFBLK: "block",
}
_MASK32, _MOST, _LEAST = 0xFFFFFFFF, (1 << 63) - 1, -(1 << 63)


def _kind(mode: int) -> str:
    return _KINDS.get(stat_bits.S_IFMT(mode), "unknown")


def number(status: os.stat_result, name: str) -> int:
    """A field of a stat result; what the platform does not tell is 0, an unknown birth time -1."""
    if name == "btime_ns":
        birth = getattr(status, "st_birthtime_ns", None)
        if birth is None:
            seconds = getattr(status, "st_birthtime", None)
            birth = -1 if seconds is None else int(seconds * 1e9)
        return int(birth)
    value: int = getattr(status, _STAT[name], 0)
    if name in ("mode", "uid", "gid", "nlink"):
        return value & _MASK32
    return min(max(value, _LEAST), _MOST) if name.endswith("_ns") else value


class _Row:
    """An entry as Predicate.test sees it: its metadata are got when they are asked for."""

    def __init__(self, engine: "Engine", item: "_Item") -> None:
        self._engine, self._item = engine, item
        self.name, self.path, self.type, self.depth = item.name, item.below, item.kind, item.depth

    def __getattr__(self, name: str) -> int:
        return number(self._engine.status(self._item), name)


class _Item:
    """An entry on its way."""

    __slots__ = ("below", "depth", "follow", "kind", "name", "path", "status")

    def __init__(self, path: bytes, name: bytes, below: bytes, depth: int, kind: str) -> None:
        self.path, self.name, self.below, self.depth, self.kind = path, name, below, depth, kind
        self.status: os.stat_result | None = None
        self.follow = False


class _Vanished(Exception):
    """The entry cannot be looked at; the error is noted."""


class Engine:
    """A scan by os.scandir. Paths longer than the platform's limit are beyond it."""

    def __init__(self, options: Options) -> None:
        if options.dir_fd is not None:
            raise NotImplementedError("dir_fd needs openat, which the standard-library backend does not use")
        self._options = options
        root = options.root
        self._prefix = root if root.endswith(b"/") else root + b"/"
        if not os.path.isdir(root):
            os.stat(root)  # says what is wrong with it, unless
            raise error_from_errno(errno.ENOTDIR)
        with os.scandir(root):
            pass
        self._device = os.stat(root).st_dev
        self._ignore = _matcher(options)
        raw = options.visited
        self._visited = {
            (int.from_bytes(raw[at : at + 8], "little"), int.from_bytes(raw[at + 8 : at + 16], "little"))
            for at in range(0, len(raw), 16)
        }
        self._pid = os.getpid()
        self._counts = [0, 0, 0]
        self._began = self._ended = 0
        self._left: list[bytes] = []
        self._closed = False
        self._work = self._run()
        self._clear()

    # -- what the front end asks for

    def lay_out(self, kind: str) -> None:
        """What the core's engine has to know, and this one not."""

    def next(self) -> "Rows | bool | None":
        """The next batch, None at the end."""
        if self._pid != os.getpid():
            raise RuntimeError("this scan belongs to the process that this one was forked from")
        return None if self._closed else next(self._work, None)

    def stats(self) -> "tuple[int, int, int, int, tuple[str | bytes, ...], int]":
        """entries, directories, errors, threads_peak, stalled, elapsed_ns."""
        now = self._ended or time.monotonic_ns()
        return (*self._counts, 0, (), now - self._began if self._began else 0)  # type: ignore[return-value]

    def frontier(self) -> tuple[bytes, ...]:
        """The directories below the root that the budget left unread."""
        return tuple(self._left)

    def visited(self) -> bytes:
        """What a scan that follows symbolic links has entered."""
        return b"".join(dev.to_bytes(8, "little") + ino.to_bytes(8, "little") for dev, ino in self._visited)

    def close(self) -> None:
        """Ends the scan."""
        self._closed = True
        if self._pid == os.getpid():
            try:
                self._work.close()
            except ValueError:
                pass  # another thread is inside next()

    # -- batches

    def _clear(self) -> None:
        self._paths: list[bytes] = []
        self._types = bytearray()
        self._columns: dict[str, list[int]] = {name: [] for name in self._options.fields}
        self._errors: list[tuple[int, str | bytes]] = []

    def _flush(self) -> Rows:
        paths: list[Any] = [os.fsdecode(path) for path in self._paths] if self._options.text else self._paths
        rows = ListRows(paths, bytes(self._types), dict(self._columns), self._errors)
        self._counts[0] += rows.count
        self._counts[2] += rows.error_count
        self._clear()
        return rows

    def _note(self, error: OSError, path: bytes) -> None:
        shown = os.fsdecode(path) if self._options.text else path
        self._errors.append((error.errno or errno.EIO, shown))

    def _full(self) -> bool:
        found = len(self._paths) + len(self._errors)
        return found >= (_BATCH if self._counts[0] else _EAGER)

    # -- the walk

    def _run(self) -> Generator[Rows, None, None]:
        self._began = time.monotonic_ns()
        batches = self._sorted() if self._options.sort else self._unsorted()
        yield from batches
        self._ended = time.monotonic_ns()

    def _sorted(self) -> Iterator[Rows]:
        for _ in self._walk():
            pass
        order = sorted(range(len(self._paths)), key=self._paths.__getitem__)
        self._paths = [self._paths[index] for index in order]
        self._types = bytearray(self._types[index] for index in order)
        self._columns = {name: [values[index] for index in order] for name, values in self._columns.items()}
        if self._paths or self._errors:
            yield self._flush()

    def _unsorted(self) -> Iterator[Rows]:
        for _ in self._walk():
            if self._full():
                yield self._flush()
        if self._paths or self._errors:
            yield self._flush()

    def _walk(self) -> Iterator[None]:
        """Reads directory after directory; yields after each entry."""
        options = self._options
        stack = list(options.frontier) if options.frontier is not None else [b""]
        deferred: list[bytes] = []
        if options.min_depth == 0 and options.frontier is None:
            self._deliver_root()
            yield
        if options.max_depth == 0:
            return
        while stack or deferred:
            if self._exhausted():
                self._left = deferred + stack  # what stands last is read first
                return
            directory = stack.pop() if stack else deferred.pop()
            for item in self._read(directory):
                (deferred if item.follow else stack).append(item.below) if self._enterable(item) else None
                yield

    def _exhausted(self) -> bool:
        options = self._options
        found = self._counts[0] + len(self._paths)
        return (options.max_entries is not None and found >= options.max_entries) or (
            options.max_nanoseconds is not None and time.monotonic_ns() - self._began >= options.max_nanoseconds
        )

    def _read(self, below: bytes) -> Iterator[_Item]:
        """The entries of one directory that are not ignored, each delivered if it is wanted."""
        path = self._prefix + below if below else self._options.root
        depth = below.count(b"/") + 2 if below else 1
        try:
            if not self._admissible(path):
                return
            with os.scandir(path) as entries:
                if not self._options.follow_symlinks:
                    self._check_real(path)
                for entry in entries:
                    yield from self._entry(entry, below, depth)
            self._counts[1] += 1
        except OSError as error:
            self._note(error, path)

    def _admissible(self, path: bytes) -> bool:
        options = self._options
        if not options.follow_symlinks and self._behind_link(path):
            raise error_from_errno(errno.ENOTDIR)  # it was a directory when it was found
        if not (options.same_filesystem or options.follow_symlinks):
            return True
        status = os.stat(path)
        if options.same_filesystem and status.st_dev != self._device:
            return False
        if options.follow_symlinks:
            if (status.st_dev, status.st_ino) in self._visited:
                raise error_from_errno(errno.ELOOP)
            self._visited.add((status.st_dev, status.st_ino))
        return True

    def _check_real(self, path: bytes) -> None:
        """Raises OSError if a component below the root is not a directory by now: what was opened may lie elsewhere."""
        while len(path) > len(self._prefix):
            if not stat_bits.S_ISDIR(os.lstat(path).st_mode):
                raise error_from_errno(errno.ENOTDIR)
            path = os.path.dirname(path)

    def _behind_link(self, path: bytes) -> bool:
        """Whether a component below the root is a symbolic link; one taken from a frontier may have become one."""
        while len(path) > len(self._prefix):
            if os.path.islink(path):
                return True
            path = os.path.dirname(path) if self._options.frontier is not None else b""
        return False

    def _entry(self, entry: "os.DirEntry[bytes]", below: bytes, depth: int) -> Iterator[_Item]:
        under = below + b"/" + entry.name if below else entry.name
        item = _Item(self._prefix + under, entry.name, under, depth, "unknown")
        try:
            self._identify(item, entry)
            if self._ignore is not None and self._ignore(item.below, item.kind == "directory"):
                return
            if depth >= self._options.min_depth and self._wanted(item, self._options.where):
                self._deliver(item)
            yield item
        except _Vanished:
            return

    def _identify(self, item: _Item, entry: "os.DirEntry[bytes]") -> None:
        try:
            if entry.is_symlink():
                item.kind = "symlink"
            elif entry.is_dir(follow_symlinks=False):
                item.kind = "directory"
            elif entry.is_file(follow_symlinks=False):
                item.kind = "file"
            else:
                item.kind = _kind(entry.stat(follow_symlinks=False).st_mode)
        except OSError as error:
            self._note(error, item.path)
            raise _Vanished from None
        if item.kind == "symlink" and self._options.follow_symlinks:
            try:
                item.status = os.stat(item.path)
                item.kind, item.follow = _kind(item.status.st_mode), True
            except OSError:
                pass  # dangling: it stays what it is

    def status(self, item: _Item) -> os.stat_result:
        """The metadata of an entry, got once."""
        if item.status is None:
            try:
                item.status = os.stat(item.path, follow_symlinks=False)
            except OSError as error:
                self._note(error, item.path)
                raise _Vanished from None
        return item.status

    def _wanted(self, item: _Item, predicate: Any) -> bool:
        return predicate is None or bool(predicate.test(_Row(self, item)))

    def _enterable(self, item: _Item) -> bool:
        options = self._options
        if item.kind != "directory" or (options.max_depth is not None and item.depth >= options.max_depth):
            return False
        try:
            return options.prune is None or not self._wanted(item, options.prune)
        except _Vanished:
            return False

    def _deliver(self, item: _Item) -> None:
        if self._columns:
            status = self.status(item)
            for name, values in self._columns.items():
                values.append(number(status, name))
        self._paths.append(item.path)
        self._types.append(_CODE[item.kind])

    def _deliver_root(self) -> None:
        root = _Item(self._options.root, self._options.root, b"", 0, "directory")
        root.follow = True
        root.status = os.stat(self._options.root)
        if self._wanted(root, self._options.where):
            self._deliver(root)


def _matcher(options: Options) -> Any:
    if options.ignore is None:
        return None
    raise NotImplementedError("ignore= needs the compiled core")
