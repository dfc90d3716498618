"""Disk usage on the compiled core: the tree stays in C, Python asks for the directories that it wants to see."""

import os
from collections.abc import Callable
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._errors import check

Counts = tuple[int, int, int, int, int]  # files, directories, errors, allocated, apparent
Record = tuple[bytes, int, int, int, int, int]  # name, allocated, apparent, files, directories, depth

_TICK_MS = 50


class Tree:
    """A measured tree. Index 0 is the root."""

    handle: Any

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
        flags = (lib.FO_USAGE_APPARENT if apparent else 0) | (lib.FO_USAGE_ONE_FILESYSTEM if same_filesystem else 0)
        out: Any = ffi.new("struct fo_usage_tree **")
        self.earlier = earlier
        before = ffi.NULL if earlier is None else earlier.handle
        check(lib.fo_usage_start(root, flags, threads or 0, largest, before, out), os.fsdecode(root))
        self.handle = ffi.gc(out[0], lib.fo_usage_free)
        self.apparent = apparent
        self.counts: Counts = (0, 0, 0, 0, 0)
        try:
            self._wait(progress)
        except BaseException:
            ffi.release(self.handle)
            raise

    def _wait(self, progress: Callable[[Counts], object] | None) -> None:
        out: Any = ffi.new("struct fo_usage_progress *")
        while True:
            ended = check(lib.fo_usage_wait(self.handle, _TICK_MS, out))
            self.counts = (out.files, out.directories, out.errors, out.allocated, out.apparent)
            if progress is not None:
                progress(self.counts)
            if ended:
                return

    def record(self, index: int) -> Record:
        out: Any = ffi.new("struct fo_usage_directory *")
        check(lib.fo_usage_directory(self.handle, index, out))
        name: Any = ffi.string(out.name)
        return name, out.allocated, out.apparent, out.files, out.directories, out.depth

    def parent(self, index: int) -> int:
        out: Any = ffi.new("struct fo_usage_directory *")
        check(lib.fo_usage_directory(self.handle, index, out))
        parent: int = out.parent
        return parent

    def children(self, index: int) -> list[int]:
        count = check(lib.fo_usage_children(self.handle, index, ffi.NULL, 0))
        out: Any = ffi.new("int64_t[]", max(count, 1))
        check(lib.fo_usage_children(self.handle, index, out, count))
        found: Any = ffi.unpack(out, count)
        return list(found)

    def top(self, count: int, max_depth: int | None) -> list[int]:
        out: Any = ffi.new("int64_t[]", max(count, 1))
        depth = -1 if max_depth is None else max_depth
        found: Any = ffi.unpack(out, check(lib.fo_usage_top(self.handle, self.apparent, depth, out, count)))
        return list(found)

    def files(self) -> list[tuple[bytes, int, int]]:
        """The largest files: path below the root, allocated, apparent."""
        return [(path, item.allocated, item.apparent) for path, item in self._items(lib.fo_usage_file)]

    def errors(self) -> list[tuple[bytes, int]]:
        return [(path, item.error) for path, item in self._items(lib.fo_usage_error)]

    def _items(self, function: Any) -> Any:
        item: Any = ffi.new("struct fo_usage_item *")
        index = 0
        while check(function(self.handle, index, item)):
            yield ffi.string(item.path), item
            index += 1
