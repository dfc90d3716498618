"""Disk usage on the standard library. Where a file's blocks are not known (Windows), allocated is its size."""

import heapq
import os
import stat
from collections.abc import Callable

from fastos._errors import error_from_errno

Counts = tuple[int, int, int, int, int]  # files, directories, errors, allocated, apparent
Record = tuple[bytes, int, int, int, int, int]  # name, allocated, apparent, files, directories, depth


def _sizes(status: os.stat_result) -> tuple[int, int]:
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512, status.st_size


class _Directory:
    __slots__ = (
        "allocated",
        "apparent",
        "children",
        "depth",
        "directories",
        "files",
        "identity",
        "name",
        "parent",
        "place",
    )

    def __init__(
        self,
        name: bytes,
        parent: int,
        place: tuple[bytes, ...],
        identity: tuple[int, int],
        sizes: tuple[int, int],
    ) -> None:
        self.name, self.parent, self.place, self.depth, self.identity = name, parent, place, len(place), identity
        self.allocated, self.apparent = sizes
        self.files = self.directories = 0
        self.children: list[int] = []


class Tree:
    """A measured tree. Index 0 is the root."""

    def __init__(
        self,
        root: bytes,
        apparent: bool,
        same_filesystem: bool,
        threads: int | None,
        largest: int,
        earlier: "Tree | None",
        progress: Callable[[Counts], object] | None,
    ) -> None:
        self.apparent, self.largest, self.progress = apparent, largest, progress
        self.earlier = earlier
        self.all: list[_Directory] = []
        self._files: list[tuple[int, tuple[bytes, ...], int, int]] = []
        self._errors: list[tuple[bytes, int]] = []
        # (dev, ino) -> place and sizes of the name that it counts for, index of its directory
        self.links: dict[tuple[int, int], tuple[tuple[bytes, ...], tuple[int, int], int]] = {}
        self.file_count, self.sums = 0, [0, 0]
        try:
            status = os.lstat(root)
        except OSError as error:
            raise error_from_errno(error.errno or 0, os.fsdecode(root)) from None
        self.is_directory = stat.S_ISDIR(status.st_mode)
        self.same = status.st_dev if same_filesystem else None
        self._directory(b"", -1, (), status)
        if self.is_directory:
            self._read_all(root)
        else:
            self.all[0].files = self.file_count = 1
            self._offer((), _sizes(status))
        self._add_up()
        self._tell()

    @property
    def counts(self) -> Counts:
        directories = len(self.all) if self.is_directory else 0
        return self.file_count, directories, len(self._errors), self.sums[0], self.sums[1]

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.counts)

    def _directory(self, name: bytes, parent: int, place: tuple[bytes, ...], status: os.stat_result) -> int:
        sizes = _sizes(status)
        self.sums[0] += sizes[0]
        self.sums[1] += sizes[1]
        self.all.append(_Directory(name, parent, place, (status.st_dev, status.st_ino), sizes))
        return len(self.all) - 1

    def _offer(self, place: tuple[bytes, ...], sizes: tuple[int, int]) -> None:
        self._files.append((sizes[1] if self.apparent else sizes[0], place, *sizes))
        if len(self._files) > 4 * self.largest + 1024:
            self._files = self._best()

    def _best(self) -> list[tuple[int, tuple[bytes, ...], int, int]]:
        return heapq.nsmallest(self.largest, self._files, key=lambda item: (-item[0], item[1]))

    def _fail(self, place: tuple[bytes, ...], error: OSError) -> None:
        self._errors.append((b"/".join(place), error.errno or 0))

    def _read_all(self, root: bytes) -> None:
        pending = [(0, root, ())]  # type: list[tuple[int, bytes, tuple[bytes, ...]]]
        while pending:
            index, path, place = pending.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        self._entry(entry, index, (*place, entry.name), pending)
            except OSError as error:
                self._fail(place, error)
            if len(self.all) % 256 == 0:
                self._tell()

    def _entry(
        self,
        entry: os.DirEntry[bytes],
        above: int,
        place: tuple[bytes, ...],
        pending: list[tuple[int, bytes, tuple[bytes, ...]]],
    ) -> None:
        try:
            status = os.lstat(entry.path)
        except OSError as error:
            self._fail(place, error)
            return
        if self.same is not None and status.st_dev != self.same:
            return
        if stat.S_ISDIR(status.st_mode):
            if self._is_above(above, (status.st_dev, status.st_ino)):
                return  # a bind mount of what it lies in
            index = self._directory(entry.name, above, place, status)
            self.all[above].children.append(index)
            pending.append((index, entry.path, place))
            return
        self.all[above].files += 1
        self.file_count += 1
        sizes = _sizes(status)
        if status.st_nlink > 1:
            key = status.st_dev, status.st_ino
            if self._counted_earlier(key):
                return
            known = self.links.get(key)
            if known is None or (place[:-1], place) < (known[0][:-1], known[0]):
                self.links[key] = place, sizes, above
            if known is not None:
                return
        else:
            self._count(above, place, sizes)
        self.sums[0] += sizes[0]
        self.sums[1] += sizes[1]

    def _is_above(self, index: int, identity: tuple[int, int]) -> bool:
        while index >= 0:
            if self.all[index].identity == identity and identity[1]:
                return True
            index = self.all[index].parent
        return False

    def _counted_earlier(self, key: tuple[int, int]) -> bool:
        earlier = self.earlier
        while earlier is not None and key not in earlier.links:
            earlier = earlier.earlier
        return earlier is not None

    def _count(self, above: int, place: tuple[bytes, ...], sizes: tuple[int, int]) -> None:
        self.all[above].allocated += sizes[0]
        self.all[above].apparent += sizes[1]
        self._offer(place, sizes)

    def _add_up(self) -> None:
        for place, sizes, above in self.links.values():
            self._count(above, place, sizes)
        for directory in reversed(self.all[1:]):
            holder = self.all[directory.parent]
            holder.allocated += directory.allocated
            holder.apparent += directory.apparent
            holder.files += directory.files
            holder.directories += directory.directories + 1

    def record(self, index: int) -> Record:
        found = self.all[index]
        return found.name, found.allocated, found.apparent, found.files, found.directories, found.depth

    def parent(self, index: int) -> int:
        return self.all[index].parent

    def children(self, index: int) -> list[int]:
        return list(self.all[index].children)

    def top(self, count: int, max_depth: int | None) -> list[int]:
        def order(index: int) -> tuple[int, tuple[bytes, ...]]:
            found = self.all[index]
            return -(found.apparent if self.apparent else found.allocated), found.place

        wanted = (i for i in range(1, len(self.all)) if max_depth is None or self.all[i].depth <= max_depth)
        return heapq.nsmallest(count, wanted, key=order)

    def files(self) -> list[tuple[bytes, int, int]]:
        """The largest files: path below the root, allocated, apparent."""
        return [(b"/".join(place), allocated, apparent) for _, place, allocated, apparent in self._best()]

    def errors(self) -> list[tuple[bytes, int]]:
        return list(self._errors)
