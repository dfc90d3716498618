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
from typing import Any, AnyStr, ClassVar

from fastos._backend.native import ffi, lib
from fastos._errors import check, error_from_errno

_LAZY = sys.version_info < (3, 12)
_FLAT_FWALK = sys.version_info >= (3, 13)
_ENCODING, _ENCODING_ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

Step = tuple[AnyStr, list[AnyStr], list[AnyStr]]
OnError = Callable[[OSError], object] | None

# The one special value of followlinks, pathlib's own: symbolic links to directories stand among the files.
_AS_FILES = getattr(os, "_walk_symlinks_as_files", None)
# Those of os itself may be ours one day.
_standard_walk, _standard_fwalk = os.walk, os.fwalk


def _parts() -> tuple[Any, ...]:
    """What os.walk and os.fwalk read with. A test that replaces one of them wants to see it called."""
    return os.scandir, os.open, os.stat


_PARTS = _parts()


# What comes next in a run: the indices of a directory's first name (its path is the one before), of its first name that
# is no directory, of the end. _NOTHING: the run is used up.
Item = tuple[int, int, int]
_NOTHING: Item = (0, 0, 0)
_MOST_IDLE = 4


class _Tree:
    """A native walk and the run of directories that it handed out last; used again by walk after walk.

    The names of a run are one list; names[first - 1] is the path of a directory.
    """

    idle: ClassVar[list["_Tree"]] = []

    def __init__(self) -> None:
        self.batch: Any = ffi.new("struct fo_walk_batch *")
        self.open()

    def open(self) -> None:
        self.flags = 0
        self.handle = lib.fo_walk_open(0)
        if not self.handle:
            raise MemoryError

    @classmethod
    def take(cls, text: bool, flags: int) -> "_Tree":
        try:
            tree = cls.idle.pop()
        except IndexError:
            tree = cls()
        tree.text = text
        tree.fresh = True
        tree.linked = None
        tree.names = []
        tree.items = iter(())
        if flags != tree.flags:
            tree.restart(flags)
        return tree

    text: bool
    fresh: bool  # the next directory starts a walk anew
    linked: Any  # the path of the directory fetched last if symbolic links are among its directories
    names: list[Any]
    items: Iterator[Item]

    def restart(self, flags: int) -> None:
        """Forgets everything. That means another handle while a thread is at the old one, and in a forked child, where
        it may have been in mid-change."""
        if lib.fo_walk_reset(self.handle, flags):
            lib.fo_walk_close(self.handle)
            self.open()
            check(lib.fo_walk_reset(self.handle, flags))
        self.flags = flags

    def give_back(self) -> None:
        if lib.fo_walk_reset(self.handle, self.flags) == 0 and len(self.idle) < _MOST_IDLE:
            self.idle.append(self)
        else:
            lib.fo_walk_close(self.handle)

    def fetch(self, path: Any, skip_link: bool) -> Item | None:
        """The directory at path as it is now; self.names and self.items follow it. None: a link that is to be skipped.

        Raises OSError if it cannot be read, after the audit event of os.scandir in any case but that of a link.
        """
        try:
            raw = fsencode(path)
        except UnicodeEncodeError:
            raw = b"\0"
        if b"\0" in raw:
            os.scandir(path).close()  # raises what is to be raised
        batch = self.batch
        while True:
            count = lib.fo_walk_next(self.handle, raw, len(raw), self.fresh, batch)
            if count > 0:
                break
            if count == 0:  # the caller wants something else than what comes next
                if skip_link and islink(path):
                    return None
                self.fresh = True
            elif count == -errno.ECHILD:
                self.restart(self.flags)
                self.fresh = True
            elif count != -errno.EAGAIN:  # on that the interpreter handles signals
                check(count)
        self.fresh = False
        self.linked = path if batch.links else None
        self.items = iter(())
        if batch.error:
            if batch.error == lib.FO_WALK_IS_LINK:
                return None
            sys.audit("os.scandir", path)
            raise error_from_errno(batch.error, path)
        sys.audit("os.scandir", path)
        self.names = self.split()
        if count == 1:
            return batch.meta[0], batch.meta[1], batch.meta[2]
        meta: Any = ffi.unpack(batch.meta, 3 * count)
        self.items = zip(meta[::3], meta[1::3], meta[2::3], strict=True)
        return next(self.items)

    def split(self) -> list[Any]:
        """The names of the batch; the last is empty."""
        raw: Any = ffi.unpack(self.batch.names, self.batch.length)
        names: list[Any] = raw.decode(_ENCODING, _ENCODING_ERRORS).split("\0") if self.text else raw.split(b"\0")
        return names

    def choose(self, path: Any, dirs: list[Any]) -> None:
        """Tells what will be wanted below the directory visited last: a hint, so what cannot be told is left out."""
        end = "\0" if self.text else b"\0"
        try:
            raw = fsencode(end.join([join(path, name) for name in dirs] + [path[:0]]))
        except (TypeError, UnicodeEncodeError):
            return
        lib.fo_walk_choose(self.handle, raw, len(raw))
        self.items = iter(())


def _topdown(top: AnyStr, onerror: OnError, followlinks: bool) -> Iterator[Step[AnyStr]]:
    """Top-down. Where the interpreter is lazy the caller's own lists of directories are iterated, else copies."""
    skip_link = _LAZY and not followlinks
    tree = _Tree.take(isinstance(top, str), 0 if skip_link else lib.FO_WALK_FOLLOW)
    confirm, audit = lib.fo_walk_confirm, sys.audit
    names, items, handle, coming = tree.names, tree.items, tree.handle, _NOTHING
    path = above = name = top
    # The names that are being iterated, and what goes before each.
    live: Iterator[AnyStr] = iter(())
    prefix = path[:0]
    frames: list[tuple[Iterator[AnyStr], AnyStr, AnyStr]] = []
    try:
        while True:
            first, middle, end = coming
            try:
                if first and names[first - 1] == path and confirm(handle):
                    audit("os.scandir", path)
                    found = True
                else:
                    path = join(above, name) if frames else top  # the caller may have put in an absolute path
                    found = not (first and skip_link and names[first - 1] != path and islink(path))
                    if found:
                        coming = _NOTHING
                        item = tree.fetch(path, skip_link)
                        names, items, handle = tree.names, tree.items, tree.handle
                        if found := item is not None:
                            first, middle, end = item
            except OSError as error:
                coming, found = _NOTHING, False
                if onerror is not None:
                    onerror(error)
            if found:
                dirs = names[first:middle]
                yield path, dirs, names[middle:end]
                coming = next(items, _NOTHING)
                if dirs or first != middle:
                    before = names[first:middle]
                    descent = dirs if _LAZY else _descent(tree, path, before, dirs, followlinks)
                    if descent != before or tree.linked is path:
                        tree.choose(path, descent)
                        coming = _NOTHING
                    frames.append((live, prefix, above))
                    live, prefix, above = iter(descent), join(path, path[:0]), path
            while True:
                for name in live:
                    try:
                        path = prefix + name
                    except TypeError:
                        path = join(above, name)
                    break
                else:
                    if not frames:
                        return
                    live, prefix, above = frames.pop()
                    continue
                break
    finally:
        tree.give_back()


def _descent(tree: _Tree, path: AnyStr, before: list[AnyStr], dirs: list[AnyStr], followlinks: bool) -> list[AnyStr]:
    """The names to descend into, as they are right after the yield."""
    if dirs == before and tree.linked is not path and (followlinks or lib.fo_walk_unchanged(tree.handle)):
        return before
    paths = [join(path, name) for name in dirs]
    return [name for name, below in zip(dirs, paths, strict=True) if followlinks or not islink(below)]


def _bottomup(top: AnyStr, onerror: OnError, followlinks: bool) -> Iterator[Step[AnyStr]]:
    tree = _Tree.take(isinstance(top, str), lib.FO_WALK_FOLLOW)
    confirm, audit = lib.fo_walk_confirm, sys.audit
    names, items, handle, coming = tree.names, tree.items, tree.handle, _NOTHING
    path = top
    live: Iterator[AnyStr] = iter(())
    prefix = path[:0]
    # What is being iterated further up, and the directory whose turn comes when what is below it is done.
    frames: list[tuple[Iterator[AnyStr], AnyStr, Step[AnyStr]]] = []
    try:
        while True:
            first, middle, end = coming
            try:
                if first and names[first - 1] == path and confirm(handle):
                    audit("os.scandir", path)
                else:
                    item = tree.fetch(path, False)
                    assert item is not None
                    first, middle, end = item
                    names, items, handle = tree.names, tree.items, tree.handle
            except OSError as error:
                coming = _NOTHING
                if onerror is not None:
                    onerror(error)
            else:
                coming = next(items, _NOTHING)
                step = path, names[first:middle], names[middle:end]
                if first == middle:
                    yield step
                else:
                    descent = step[1]
                    if tree.linked is path:
                        coming = _NOTHING
                        if followlinks:
                            tree.choose(path, descent)
                        else:
                            descent = [name for name in descent if not islink(join(path, name))]
                    frames.append((live, prefix, step))
                    live, prefix = iter(descent), join(path, path[:0])
            while True:
                for name in live:
                    path = prefix + name
                    break
                else:
                    if not frames:
                        return
                    live, prefix, step = frames.pop()
                    yield step
                    continue
                break
    finally:
        tree.give_back()


def _walk(top: AnyStr, topdown: bool, onerror: OnError, followlinks: Any) -> Iterator[Step[AnyStr]]:
    if not topdown:
        return _bottomup(top, onerror, followlinks)
    return _topdown(top, onerror, followlinks)


if _LAZY:

    def walk(
        top: AnyStr | os.PathLike[AnyStr], topdown: bool = True, onerror: OnError = None, followlinks: bool = False
    ) -> Iterator[Step[AnyStr]]:
        if _parts() != _PARTS:
            return _standard_walk(top, topdown, onerror, followlinks)
        sys.audit("os.walk", top, topdown, onerror, followlinks)
        return _walk(fspath(top), topdown, onerror, followlinks)

else:

    def walk(
        top: AnyStr | os.PathLike[AnyStr], topdown: bool = True, onerror: OnError = None, followlinks: bool = False
    ) -> Iterator[Step[AnyStr]]:
        if (_AS_FILES is not None and followlinks is _AS_FILES) or _parts() != _PARTS:
            yield from _standard_walk(top, topdown, onerror, followlinks)
            return
        sys.audit("os.walk", top, topdown, onerror, followlinks)
        yield from _walk(fspath(top), topdown, onerror, followlinks)


def _list(tree: _Tree, fd: int) -> tuple[list[Any], list[Any]]:
    sys.audit("os.scandir", fd)
    check(lib.fo_walk_list(tree.handle, fd, tree.batch), fd)
    names = tree.split()
    return names[1 : tree.batch.meta[1]], names[tree.batch.meta[1] : -1]


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
    if _parts() != _PARTS:
        yield from _standard_fwalk(top, topdown, onerror, follow_symlinks=follow_symlinks, dir_fd=dir_fd)
        return
    sys.audit("os.fwalk", top, topdown, onerror, follow_symlinks, dir_fd)
    path = fspath(top)
    tree = _Tree.take(isinstance(path, str), 0)
    # One frame a directory that the walk is in: descriptor, path, what to put before names, names, what to yield last.
    frames: list[tuple[int, Any, Any, Iterator[Any], Any]] = []
    try:
        fd = _enter(path, dir_fd, True, onerror, follow_symlinks)
        while True:
            if fd is not None:
                frames.append((fd, path, path, iter(()), None))  # so that it is closed whatever happens
                dirs, files = _list(tree, fd)
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
        tree.give_back()
        for frame in reversed(frames):
            os.close(frame[0])


walk.__doc__, fwalk.__doc__ = _standard_walk.__doc__, _standard_fwalk.__doc__
