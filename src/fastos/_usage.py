"""du: how much a tree takes, per directory, with hard links counted once."""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from fastos import _backend
from fastos._errors import error_from_errno

if TYPE_CHECKING:
    from fastos._backend import native_usage as backend
else:
    backend = _backend.topic("usage")

_LARGEST = 1000


class UsageCounts(NamedTuple):
    """How far a measurement is."""

    files: int
    directories: int
    errors: int
    allocated: int
    apparent: int


class LargestItem(NamedTuple):
    """One of the largest files or directories; size in bytes, by the measure that the Usage is in."""

    path: str
    size: int
    is_directory: bool


class Usage:
    """What one directory takes, with all below it. Sizes are in bytes.

    The figures of a million files stay in compact memory of their own; a Usage is made for a directory when it is
    looked at.
    """

    def __init__(self, tree: "backend.Tree", index: int, path: str, max_depth: int | None) -> None:
        self.tree, self._index, self._max_depth = tree, index, max_depth
        name, allocated, apparent, files, directories, depth = tree.record(index)
        #: root joined with what is below it, as os.walk's paths are
        self.path = path
        self.name = os.fsdecode(name) if index else os.path.basename(path.rstrip("/")) or path
        #: blocks x 512: what the files occupy on the disk, as `du -B1` says it
        self.allocated = allocated
        #: the sum of the sizes, as `du -b` says it
        self.apparent = apparent
        #: how many entries below it are no directories; each name of a hard link is one
        self.files = files
        #: how many directories lie below it, itself not counted
        self.directories = directories
        #: how deep below the root it lies
        self.depth = depth

    @property
    def total(self) -> int:
        """`apparent` if that was asked for, else `allocated`."""
        return self.apparent if self.tree.apparent else self.allocated

    @cached_property
    def children(self) -> list["Usage"]:
        """The directories in it, largest first; empty at max_depth."""
        if self._max_depth is not None and self.depth >= self._max_depth:
            return []
        prefix = os.path.join(self.path, "")
        found = (
            Usage(self.tree, i, prefix + os.fsdecode(self.tree.record(i)[0]), self._max_depth)
            for i in self.tree.children(self._index)
        )
        return sorted(found, key=lambda child: (-child.total, os.fsencode(child.name)))

    def walk(self) -> Iterator["Usage"]:
        """Itself and all that is below it to max_depth, each before what it holds."""
        pending = [self]
        while pending:
            usage = pending.pop()
            yield usage
            pending.extend(reversed(usage.children))

    @cached_property
    def errors(self) -> list[OSError]:
        """What could not be read in the whole measurement, each with its filename; it is missing in the sums."""
        root = self._root_path()
        return [error_from_errno(code, _join(root, below)) for below, code in self.tree.errors()]

    def _root_path(self) -> str:
        path = self.path
        for _ in range(self.depth):
            path = os.path.dirname(path)
        return path

    def top(self, count: int = 10, *, directories: bool = False) -> list[LargestItem]:
        """The largest files of the whole measurement, or the largest directories; largest first, then by path.

        At most 1000 files are kept. Directories deeper than max_depth are left out. Raises ValueError for a count
        below 0.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, it is {count}")
        root = self._root_path()
        if directories:
            found = []
            for index in self.tree.top(count, self._max_depth):
                record = self.tree.record(index)
                path = _join(root, self._below(index))
                found.append(LargestItem(path, record[2] if self.tree.apparent else record[1], True))
            return found
        files = self.tree.files()[:count]
        return [
            LargestItem(_join(root, path), apparent if self.tree.apparent else allocated, False)
            for path, allocated, apparent in files
        ]

    def _below(self, index: int) -> bytes:
        names = []
        while index > 0:
            names.append(self.tree.record(index)[0])
            index = self.tree.parent(index)
        return b"/".join(reversed(names))

    def __repr__(self) -> str:
        return f"<Usage {self.path!r}: {self.total} bytes, {self.files} files, {self.directories} directories>"


def _join(root: str, below: bytes) -> str:
    return os.path.join(root, os.fsdecode(below)) if below else root


def du(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes] = ".",
    *,
    apparent: bool = False,
    same_filesystem: bool = False,
    max_depth: int | None = None,
    threads: int | None = None,
    progress: Callable[[UsageCounts], object] | None = None,
) -> Usage:
    """Measures a tree: what `du -B1` says, and with `apparent` what `du -b` says.

    Symbolic links are counted, not followed. A file with several hard links counts once, by (device, inode): for the
    directory, of those below root that hold it, whose path comes first when paths are compared name by name. So
    every figure is the same under any number of threads.

    Arguments:
        root: a directory; a file is measured alone
        apparent: measure by size (st_size) instead of by what is occupied (st_blocks x 512)
        same_filesystem: leave out what is on other devices, mount points included
        max_depth: how deep the tree of `children` goes; the sums are whole whatever it is
        threads: how many read; None: as many as the file system is found to need
        progress: called in the calling thread about 20 times a second

    What cannot be read is in `Usage.errors`; the rest is measured. A tree that changes meanwhile is measured as it is
    found: this is no snapshot. Raises OSError if root itself is not there, ValueError for a negative max_depth or
    less than one thread. See du(1).
    """
    return measure(root, None, apparent, same_filesystem, max_depth, threads, progress)


def measure(
    root: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    earlier: Usage | None,
    apparent: bool,
    same_filesystem: bool,
    max_depth: int | None,
    threads: int | None,
    progress: Callable[[UsageCounts], object] | None,
) -> Usage:
    """du; a file with several names that counted in the measurements before this one does not count again."""
    if max_depth is not None and max_depth < 0:
        raise ValueError(f"max_depth must not be negative, it is {max_depth}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    raw = os.fsencode(root)
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    tell = None if progress is None else lambda counts: progress(UsageCounts(*counts))
    before = None if earlier is None else earlier.tree
    tree = backend.Tree(raw, apparent, same_filesystem, threads, _LARGEST, before, tell)
    return Usage(tree, 0, os.fsdecode(raw), max_depth)
