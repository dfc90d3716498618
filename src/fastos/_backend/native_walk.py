"""walk and fwalk on the compiled core: os.walk's contract, the running interpreter's version of it.

The versions differ in when a directory's subdirectories are looked at after it was yielded. Up to 3.11 the list is
iterated as the walk goes on, so that even late changes to it count, and each name is tested for being a symbolic link
when its turn comes. From 3.12 on all that happens at once, right after the yield.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from os import fsencode, fspath
from os.path import islink, join
from typing import Any, AnyStr, Generic

from fastos._backend.native import ffi, lib
from fastos._errors import check, error_from_errno

_LAZY = sys.version_info < (3, 12)
_FLAT_FWALK = sys.version_info >= (3, 13)
_ENCODING, _ENCODING_ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

Names = tuple[list[AnyStr], list[AnyStr]]
Step = tuple[AnyStr, list[AnyStr], list[AnyStr]]
OnError = Callable[[OSError], object] | None

# The one special value of followlinks, pathlib's own: symbolic links to directories stand among the files.
_AS_FILES = getattr(os, "_walk_symlinks_as_files", None)


class _Tree(Generic[AnyStr]):
    """A native walk, and the directories that it read ahead: id -> names."""

    def __init__(self, top: AnyStr, flags: int) -> None:
        self.text = isinstance(top, str)
        self.batch: Any = ffi.new("struct fo_walk_batch *")
        self.children: Any = ffi.new("struct fo_walk_children *")
        self.ready: dict[int, Names[AnyStr]] = {}
        self.handle = lib.fo_walk_open(flags)
        if not self.handle:
            raise MemoryError

    def close(self) -> None:
        lib.fo_walk_close(self.handle)

    def push(self, path: AnyStr) -> int:
        """The id of a path, now next in turn; 0 for one that the kernel could not be asked for."""
        try:
            raw = fsencode(path)
        except UnicodeEncodeError:
            return 0
        if b"\0" in raw:
            return 0
        return check(lib.fo_walk_push(self.handle, raw, len(raw), lib.FO_WALK_FOLLOW))

    def split(self) -> list[Any]:
        """The names of the batch; the last is empty."""
        if not self.batch.length:
            return []
        raw: Any = ffi.unpack(self.batch.names, self.batch.length)
        names: list[Any] = raw.decode(_ENCODING, _ENCODING_ERRORS).split("\0") if self.text else raw.split(b"\0")
        return names

    def take(self, node: int, path: AnyStr) -> Names[AnyStr] | None:
        """The names in a directory, read now; None for a symbolic link that is not to be followed."""
        if not node:
            os.scandir(path).close()  # raises what is to be raised
        while (items := lib.fo_walk_take(self.handle, node, self.batch)) == -errno.EAGAIN:
            pass  # the interpreter handles signals here
        check(items)
        meta: Any = ffi.unpack(self.batch.meta, 4 * items)
        if meta[1] == lib.FO_WALK_IS_LINK:
            first = None
        elif meta[1]:
            raise error_from_errno(meta[1], path)
        names = self.split()
        end = meta[2] + meta[3]
        first = None if meta[1] else (names[: meta[2]], names[meta[2] : end])
        if items > 1:
            ready = self.ready
            for id, dirs, files in zip(meta[4::4], meta[6::4], meta[7::4], strict=True):
                start, middle = end, end + dirs
                end = middle + files
                ready[id] = (names[start:middle], names[middle:end])
        return first

    def descend(self, node: int, path: AnyStr, dirs: list[AnyStr]) -> Iterator[tuple[AnyStr, int]]:
        """The paths and ids of the directories to descend into, the last one first."""
        count = check(lib.fo_walk_descend(self.handle, node, self.children))
        sep: AnyStr = "/" if self.text else b"/"  # type: ignore[assignment]
        prefix = path if path.endswith(sep) else path + sep
        first = self.children.first
        pairs = zip([prefix + name for name in reversed(dirs)], range(first + count - 1, first - 1, -1), strict=True)
        if not self.children.links:
            return pairs
        skipped: Any = ffi.unpack(self.children.skipped, count)
        return (pair for pair, skip in zip(list(pairs), reversed(skipped), strict=True) if not skip)


def _topdown(top: AnyStr, onerror: OnError, followlinks: bool) -> Iterator[Step[AnyStr]]:
    """Top-down, as from 3.12 on."""
    tree = _Tree(top, lib.FO_WALK_FOLLOW if followlinks else 0)
    handle, ready, take, confirm, audit = tree.handle, tree.ready, tree.take, lib.fo_walk_confirm, sys.audit
    try:
        stack = [(top, tree.push(top))]
        while stack:
            path, node = stack.pop()
            try:
                audit("os.scandir", path)
                found = ready.pop(node, None)
                if found is None or not confirm(handle, node):
                    found = take(node, path)
            except OSError as error:
                if onerror is not None:
                    onerror(error)
                continue
            assert found is not None
            dirs, files = found
            before = dirs.copy() if dirs else dirs
            yield path, dirs, files
            if not dirs and not before:
                continue
            if before is not dirs and dirs == before:
                stack.extend(tree.descend(node, path, dirs))
                continue
            if before is not dirs:
                lib.fo_walk_discard(handle, node)
            for name in reversed(dirs):
                below = join(path, name)
                if followlinks or not islink(below):
                    stack.append((below, tree.push(below)))
    finally:
        tree.close()


def _topdown_lazy(top: AnyStr, onerror: OnError, followlinks: bool) -> Iterator[Step[AnyStr]]:
    """Top-down, as up to 3.11: each list of directories is iterated while the walk is below it."""
    tree = _Tree(top, lib.FO_WALK_LAZY | (lib.FO_WALK_FOLLOW if followlinks else 0))
    handle, ready, take, confirm, audit = tree.handle, tree.ready, tree.take, lib.fo_walk_confirm, sys.audit
    try:
        path, node = top, tree.push(top)
        # What is being iterated: a directory's path, its live list, the ids of those of its names that were read.
        frames: list[tuple[AnyStr, Iterator[AnyStr], dict[AnyStr, int]]] = []
        while True:
            found = None
            try:
                audit("os.scandir", path)
                found = ready.pop(node, None)
                if found is None or not confirm(handle, node):
                    found = take(node, path)
            except OSError as error:
                if onerror is not None:
                    onerror(error)
            if found is not None:
                dirs, files = found
                before = dirs.copy() if dirs else dirs
                yield path, dirs, files
                if before is not dirs:
                    frames.append((path, iter(dirs), _children(tree, node, path, before, dirs)))
                elif dirs:
                    frames.append((path, iter(dirs), {}))
            while frames:
                above, names, ids = frames[-1]
                for name in names:
                    path = join(above, name)
                    node = ids.pop(name, 0)
                    if not node:
                        if not followlinks and islink(path):
                            continue
                        node = tree.push(path)
                    break
                else:
                    frames.pop()
                    _discard(tree, ids.values())
                    continue
                break
            else:
                return
    finally:
        tree.close()


def _discard(tree: _Tree[AnyStr], ids: Any) -> None:
    for id in ids:
        tree.ready.pop(id, None)
        lib.fo_walk_discard(tree.handle, id)


def _children(
    tree: _Tree[AnyStr], node: int, path: AnyStr, before: list[AnyStr], dirs: list[AnyStr]
) -> dict[AnyStr, int]:
    """The ids of a directory's subdirectories by name, those that the caller took out of the list left out."""
    check(lib.fo_walk_descend(tree.handle, node, tree.children))
    ids = dict(zip(before, range(tree.children.first, tree.children.first + len(before)), strict=True))
    if dirs != before:
        _discard(tree, [ids.pop(name) for name in ids.keys() - set(dirs)])
    return ids


def _bottomup(top: AnyStr, onerror: OnError, followlinks: bool) -> Iterator[Step[AnyStr]]:
    tree = _Tree(top, lib.FO_WALK_FOLLOW if followlinks else 0)
    handle, ready, take, confirm, audit = tree.handle, tree.ready, tree.take, lib.fo_walk_confirm, sys.audit
    try:
        stack: list[tuple[AnyStr, int] | Step[AnyStr]] = [(top, tree.push(top))]
        while stack:
            item = stack.pop()
            if len(item) == 3:
                yield item
                continue
            path, node = item
            try:
                audit("os.scandir", path)
                found = ready.pop(node, None)
                if found is None or not confirm(handle, node):
                    found = take(node, path)
            except OSError as error:
                if onerror is not None:
                    onerror(error)
                continue
            assert found is not None
            dirs, files = found
            if dirs:
                stack.append((path, dirs, files))
                stack.extend(tree.descend(node, path, dirs))
            else:
                yield path, dirs, files
    finally:
        tree.close()


def _walk(top: AnyStr, topdown: bool, onerror: OnError, followlinks: Any) -> Iterator[Step[AnyStr]]:
    if not topdown:
        return _bottomup(top, onerror, followlinks)
    return _topdown_lazy(top, onerror, followlinks) if _LAZY else _topdown(top, onerror, followlinks)


if _LAZY:

    def walk(
        top: AnyStr | os.PathLike[AnyStr], topdown: bool = True, onerror: OnError = None, followlinks: bool = False
    ) -> Iterator[Step[AnyStr]]:
        sys.audit("os.walk", top, topdown, onerror, followlinks)
        return _walk(fspath(top), topdown, onerror, followlinks)

else:

    def walk(
        top: AnyStr | os.PathLike[AnyStr], topdown: bool = True, onerror: OnError = None, followlinks: bool = False
    ) -> Iterator[Step[AnyStr]]:
        if _AS_FILES is not None and followlinks is _AS_FILES:
            yield from os.walk(top, topdown, onerror, followlinks)
            return
        sys.audit("os.walk", top, topdown, onerror, followlinks)
        yield from _walk(fspath(top), topdown, onerror, followlinks)


class _Lister:
    """Lists open directories; one native buffer for the whole walk."""

    def __init__(self, text: bool) -> None:
        self.tree: _Tree[Any] = _Tree("" if text else b"", 0)

    def names(self, fd: int) -> tuple[list[Any], list[Any]]:
        sys.audit("os.scandir", fd)
        check(lib.fo_walk_list(self.tree.handle, fd, self.tree.batch), fd)
        dirs = self.tree.batch.meta[2]
        names = self.tree.split()
        return names[:dirs], names[dirs:-1]


def _enter(name: Any, dir_fd: int | None, root: bool, onerror: OnError, follow: bool) -> int | None:
    """A descriptor of the directory, or None if it is not to be entered; lstat, open, fstat against races."""
    flags = os.O_RDONLY | (os.O_NONBLOCK if _FLAT_FWALK else 0)
    seen = None
    try:
        if not follow:
            seen = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        fd = os.open(name, flags, dir_fd=dir_fd)
    except OSError as error:
        if root:
            raise
        if onerror is not None:
            onerror(error)
        return None
    try:
        if seen is None or (not (root and not _is_directory(seen)) and os.path.samestat(seen, os.stat(fd))):
            fd, kept = -1, fd
            return kept
        return None
    finally:
        if fd >= 0:
            os.close(fd)


def _is_directory(status: os.stat_result) -> bool:
    return status.st_mode & 0o170000 == 0o040000


def fwalk(
    top: Any = ".",
    topdown: bool = True,
    onerror: OnError = None,
    *,
    follow_symlinks: bool = False,
    dir_fd: int | None = None,
) -> Iterator[tuple[Any, list[Any], list[Any], int]]:
    sys.audit("os.fwalk", top, topdown, onerror, follow_symlinks, dir_fd)
    path = fspath(top)
    lister = _Lister(isinstance(path, str))
    # One frame a directory that the walk is in: descriptor, path, what to put before names, names, what to yield last.
    frames: list[tuple[int, Any, Any, Iterator[Any], Any]] = []
    try:
        fd = _enter(path, dir_fd, True, onerror, follow_symlinks)
        while True:
            if fd is not None:
                frames.append((fd, path, path, iter(()), None))  # so that it is closed whatever happens
                dirs, files = lister.names(fd)
                step = (path, dirs, files, fd)
                if topdown:
                    yield step
                prefix = join(path, path[:0]) if _FLAT_FWALK else path
                names = iter(dirs.copy() if _FLAT_FWALK or not topdown else dirs)
                frames[-1] = (fd, path, prefix, names, None if topdown else step)
            while frames:
                above, _, prefix, names, step_after = frames[-1]
                for name in names:
                    fd = _enter(name, above, False, onerror, follow_symlinks)
                    if fd is not None:
                        path = prefix + name if _FLAT_FWALK else join(prefix, name)
                        break
                else:
                    if step_after is not None:
                        yield step_after
                    os.close(frames.pop()[0])
                    continue
                break
            else:
                return
    finally:
        lister.tree.close()
        for frame in reversed(frames):
            os.close(frame[0])
