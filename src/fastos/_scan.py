"""`scan`: a directory tree, read in parallel at the speed of the kernel."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from fastos import _backend
from fastos._batch import Batch, Rows, select
from fastos._entry import Entry, entry_class
from fastos._errors import error_from_errno
from fastos._scan_options import TYPES, Options, check_fields, check_number, check_root
from fastos._timeout import nanoseconds

if TYPE_CHECKING:
    from fastos._backend import native_scan as backend
    from fastos._ignore import Ignore
    from fastos._predicate import Predicate
else:
    backend = _backend.topic("scan")

Root = str | bytes | os.PathLike[str] | os.PathLike[bytes]
OnError = Literal["collect", "raise"] | Callable[[OSError], object]

_PROGRESS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stats:
    """What a scan has done so far."""

    entries: int  # found and passed by `where`, as far as it is tested natively
    directories: int  # read to their end
    errors: int
    threads_peak: int  # the most workers at a time; 0 if the caller's own thread did it all
    stalled: tuple[Any, ...]  # directories in which a worker has been waiting for two seconds or longer
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """The directories that a scan with a budget has found and not read; `scan(frontier=...)` goes on from them.

    Plain data: it can be pickled, stored, and split among machines that see the same tree.
    """

    root: str | bytes
    directories: tuple[bytes, ...] = ()  # below the root; b"" is the root itself
    visited: bytes = b""  # with follow_symlinks, what is not to be entered again

    def __len__(self) -> int:
        return len(self.directories)

    def split(self, parts: int) -> "list[Frontier]":
        """At most `parts` frontiers that together are this one, none of them empty."""
        parts = check_number("parts", parts, 1)
        shares = (self.directories[start::parts] for start in range(parts))
        return [Frontier(self.root, share, self.visited) for share in shares if share]


class Scan:
    """The entries of a tree, once: iterate it, or its `paths()`, or its `batches()`. Made by fastos.scan.

    A context manager; leaving it, close(), or dropping the iterator ends the work within milliseconds.
    """

    _progress_at = 0.0
    _started = _finished = _closed = False
    _final: tuple[Any, ...] | None = None
    _frontier: Frontier | tuple[()] | None = None

    def __init__(
        self,
        options: Options,
        remainder: "tuple[Predicate, tuple[str, ...]] | None",
        on_error: OnError,
        progress: Callable[[Stats], object] | None,
        engine: Callable[[Options], Any],
    ) -> None:
        self._options = options
        self._remainder = remainder
        self._on_error = on_error
        self._progress = progress
        # The root is opened here, so that a missing one is known at once.
        self._engine: Any = engine(options)
        #: The errors met so far, in no particular order; each has errno and filename. Empty unless on_error="collect".
        self.errors: list[OSError] = []

    # -- the three ways to have the entries

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self._entry_lists(self._begin("paths")))

    def paths(self) -> Iterator[Any]:
        """An iterator of the whole paths: str, or bytes if the root was bytes. The quickest way."""
        return chain.from_iterable(self._path_lists(self._begin("paths")))

    def batches(self) -> Iterator[Batch]:
        """An iterator of batches: columns of some thousand entries each, quicker than objects."""
        return self._batch_objects(self._begin("batches"))

    def _begin(self, layout: str) -> Iterator[Rows]:
        if self._started:
            raise RuntimeError("a scan can be iterated once; make another with fastos.scan()")
        if self._closed:
            raise RuntimeError("the scan was closed before it was iterated")
        self._started = True
        if layout != "paths":
            self._engine.lay_out(layout)
        return self._rows()

    def _path_lists(self, source: Iterator[Rows]) -> Iterator[Sequence[Any]]:
        for rows in source:
            paths = rows.paths()
            rows.release()
            yield paths

    def _path_blocks(self, source: Iterator[Rows]) -> Iterator[bytes]:
        for rows in source:
            joined = rows.joined()
            rows.release()
            yield joined

    def entry_lists(self) -> Iterator[list[Entry]]:
        """An iterator of lists of Entry: what is there so far, without waiting for more."""
        return self._entry_lists(self._begin("paths"))

    def _entry_lists(self, source: Iterator[Rows]) -> Iterator[list[Entry]]:
        wanted = self._options.wanted
        kind = repeat(entry_class(wanted))
        base = repeat(len(self._options.root) + (not self._options.root.endswith(b"/")))
        if self._options.text:
            base = repeat(len(os.fsdecode(self._options.root)) + (not self._options.root.endswith(b"/")))
        new, type_of = tuple.__new__, TYPES.__getitem__
        for rows in source:
            columns = [rows.values(name) for name in wanted]
            parts = zip(rows.paths(), map(type_of, rows.types()), base, *columns, strict=False)
            rows.release()
            yield list(map(new, kind, parts))

    def _batch_objects(self, source: Iterator[Rows]) -> Iterator[Batch]:
        for rows in source:
            yield Batch(rows, self._options.wanted)

    def path_blocks(self) -> Iterator[bytes]:
        """An iterator of bytes: some thousand paths at a time, zero bytes between them, as a program passes them on."""
        return self._path_blocks(self._begin("blocks"))

    # -- the work

    def _rows(self) -> Iterator[Rows]:
        """The backend's batches, errors taken care of, filtered by what only Python can decide."""
        engine = self._engine
        try:
            while (rows := engine.next()) is not None:
                if self._progress is not None:
                    self._report()
                if rows is False:
                    continue
                if rows.error_count:
                    self._note(rows)
                if self._remainder is not None:
                    rows = self._filter(rows)
                if rows.count:
                    yield rows
            if not self._closed:
                self._frontier = self._leftover()
                self._finished = True
        finally:
            self.close()
            if self._progress is not None:
                self._progress(self.stats)

    def _report(self) -> None:
        now = time.monotonic()
        if now >= self._progress_at and self._progress is not None:
            self._progress_at = now + _PROGRESS_SECONDS
            self._progress(self.stats)

    def _note(self, rows: Rows) -> None:
        for number, path in rows.errors():
            error = error_from_errno(number, path)
            if self._on_error == "collect":
                self.errors.append(error)
            elif self._on_error == "raise":
                raise error
            else:
                self._on_error(error)

    def _filter(self, rows: Rows) -> Rows:
        from fastos._scan_filter import matching

        assert self._remainder is not None
        predicate, fields = self._remainder
        kept = select(rows, matching(rows, predicate, fields, self._options), self._options.wanted)
        rows.release()
        return kept

    # -- what it tells

    @property
    def stats(self) -> Stats:
        """What was done so far: a new Stats each time, the last one after the end."""
        if self._final is not None:
            return Stats(*self._final)
        return Stats(*self._engine.stats())

    @property
    def frontier(self) -> Frontier:
        """After a scan with a budget has been iterated to its end: what it has not read; empty if it has read all.

        Every entry is either among those delivered or below one of these directories, never both.
        Raises RuntimeError before that, or if the scan was closed or dropped half-way.
        """
        if self._frontier is None:
            raise RuntimeError("the frontier is known once the scan has been iterated to its end")
        return self._frontier or Frontier(self._root())

    # -- the end

    def close(self) -> None:
        """Ends the scan within milliseconds; what was handed out stays valid. Harmless if it has ended."""
        if self._closed:
            return
        self._closed = True
        if not self._finished:  # what hangs is known until then
            try:
                self._final = self._engine.stats()
            except RuntimeError:  # in a forked process, where there is nothing to end
                self._final = (0, 0, 0, 0, (), 0)
        self._engine.close()

    def _leftover(self) -> Frontier | tuple[()] | None:
        options = self._options
        if options.max_entries is None and options.max_nanoseconds is None:
            return ()
        try:
            directories = self._engine.frontier()
            visited = self._engine.visited() if directories and options.follow_symlinks else b""
        except OSError:  # another thread has closed it
            return None
        return Frontier(self._root(), directories, visited)

    def _root(self) -> str | bytes:
        return os.fsdecode(self._options.root) if self._options.text else self._options.root

    def __enter__(self) -> "Scan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._started else "not begun"
        return f"<fastos.Scan of {self._root()!r}, {state}>"


def _predicates(options: Options) -> "tuple[tuple[Predicate, tuple[str, ...]] | None, Callable[[Options], Any]]":
    """Compiles where= and prune= for the backend: (what is left for Python, the engine that can do it)."""
    if options.where is None and options.prune is None:
        return None, backend.Engine
    from fastos._scan_filter import prepare

    return prepare(options, backend.Engine)


def scan(
    root: Root = ".",
    *,
    where: "Predicate | None" = None,
    fields: Iterable[str] = ("type",),
    follow_symlinks: bool = False,
    min_depth: int = 1,
    max_depth: int | None = None,
    same_filesystem: bool = False,
    prune: "Predicate | None" = None,
    ignore: "Literal['git'] | Iterable[str | bytes] | Ignore | None" = None,
    sort: bool = False,
    threads: int | None = None,
    dir_fd: int | None = None,
    on_error: OnError = "collect",
    progress: Callable[[Stats], object] | None = None,
    max_entries: int | None = None,
    max_seconds: float | None = None,
    frontier: Frontier | None = None,
) -> Scan:
    """Reads a directory tree in parallel.

    Parameters:
        root: where to begin, a directory or a symbolic link to one. Paths are the root joined with what is below it,
            as os.walk's are; a bytes root gives bytes paths.
        where: which entries to deliver, an expression of `fastos.field`; directories that do not match are still read.
        fields: what to know of each entry beside its path and type: size, blocks, mode, uid, gid, nlink, ino, dev,
            atime_ns, mtime_ns, ctime_ns, btime_ns. Each costs a statx(2) an entry, all together one.
        follow_symlinks: read the directories behind symbolic links, and tell of the targets of all. A directory that
            was read already, under whatever path, is delivered as an entry and not read again: an OSError with ELOOP
            says so. A dangling link is delivered as "symlink".
        min_depth, max_depth: the root has depth 0, its entries 1. Deeper directories are not read.
        same_filesystem: do not read mount points (they are delivered).
        prune: which directories not to read, an expression of `fastos.field`; they are delivered.
        ignore: "git" for what git would ignore, or patterns in the syntax of gitignore(5), or both as fastos.Ignore;
            neither delivered nor read.
        sort: deliver in the byte order of the whole paths, whatever the number of threads. Everything is read first,
            and kept in memory, before the first entry comes. With follow_symlinks one thread reads.
        threads: how many workers; by default as many as there are processors, and up to 64 while they are found to
            wait for the file system rather than to compute.
        dir_fd: an open directory that a relative root is relative to.
        on_error: what becomes of a directory that cannot be read, or an entry that cannot be looked at. "collect" puts
            the OSError into Scan.errors, "raise" raises it from the iteration, a callable is called with it.
        progress: called in the iterating thread with Stats, at most ten times a second, and at the end.
        max_entries, max_seconds: a budget. When it is used up, no further directory is begun (those begun are read to
            their end, so somewhat more may be delivered), and Scan.frontier has what is left.
        frontier: go on from the frontier of an earlier scan, at its root if no other is given. Options hold for one
            scan: give the same again.

    Returns a Scan: iterate it for Entry objects, or its paths(), or its batches(). The order is unspecified unless
    sort is set, save that a directory comes before what is below it.

    Raises the OSError of opening the root (FileNotFoundError, NotADirectoryError, PermissionError, ...) at once;
    TypeError or ValueError for arguments that make no sense. An error below the root never ends the scan by itself.

    Not promised: a snapshot. What changes meanwhile may be seen as it was before, after, or not at all. Directories are
    entered by openat(2) with O_NOFOLLOW from their parents: a directory that is replaced by a symbolic link meanwhile
    never leads outside. See getdents64(2), statx(2), path_resolution(7).
    """
    if frontier is not None:
        if not isinstance(frontier, Frontier):
            raise TypeError(f"frontier is the Scan.frontier of an earlier scan, not {frontier!r}")
        root = frontier.root if root == "." else root
    encoded, text = check_root(root)
    wanted = check_fields(fields)
    options = Options(encoded, text, wanted)
    if follow_symlinks:
        options.follow_symlinks = True
    if same_filesystem:
        options.same_filesystem = True
    if sort not in (True, False):
        raise TypeError(f"sort is True, for the byte order of the paths, or False, not {sort!r}")
    if sort:
        options.sort = True
    if min_depth != 1:
        options.min_depth = check_number("min_depth", min_depth, 0)
    if max_depth is not None:
        options.max_depth = check_number("max_depth", max_depth, 0)
    if threads is not None:
        options.threads = min(check_number("threads", threads, 1), 64)
    if sort and follow_symlinks:
        options.threads = 1
    if max_entries is not None:
        options.max_entries = check_number("max_entries", max_entries, 1)
    if max_seconds is not None:
        options.max_nanoseconds = _budget(max_seconds)
    if frontier is not None:
        options.frontier, options.visited = frontier.directories, frontier.visited
    if on_error not in ("collect", "raise") and not callable(on_error):
        raise ValueError(f'on_error is "collect", "raise" or a callable, not {on_error!r}')
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is a callable, not {progress!r}")
    if dir_fd is not None:
        options.dir_fd = dir_fd
    if where is not None:
        options.where = where
    if prune is not None:
        options.prune = prune
    if ignore is not None:
        from fastos._ignore import require

        options.ignore = require(ignore)
    remainder, engine = _predicates(options)
    try:
        return Scan(options, remainder, on_error, progress, engine)
    except OSError as error:
        raise error_from_errno(error.errno or 0, root) from None


def _budget(seconds: float) -> int:
    if not seconds >= 0:
        raise ValueError(f"max_seconds must not be negative, not {seconds}")
    return max(1, nanoseconds(seconds))
