"""Scanning by the compiled core: batches come as columns and are turned into objects in bulk."""

import errno
import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fastos._backend.native import ffi, lib
from fastos._errors import check, error_from_errno

try:
    from _pickle import loads  # what pickle.loads is, without the module around it
except ImportError:  # another interpreter
    from pickle import loads

if TYPE_CHECKING:
    from fastos._scan_options import Options

# How long to wait in C before Python gets a chance to handle a signal.
_TICK_MS = 50

# field -> (bit of its column, memoryview format)
_COLUMNS: dict[str, tuple[int, str]] = {
    "size": (lib.FO_STAT_SIZE, "q"),
    "blocks": (lib.FO_STAT_BLOCKS, "q"),
    "mode": (lib.FO_STAT_MODE, "I"),
    "uid": (lib.FO_STAT_UID, "I"),
    "gid": (lib.FO_STAT_GID, "I"),
    "nlink": (lib.FO_STAT_NLINK, "I"),
    "ino": (lib.FO_STAT_INO, "Q"),
    "dev": (lib.FO_STAT_DEV, "Q"),
    "atime_ns": (lib.FO_STAT_ATIME, "q"),
    "mtime_ns": (lib.FO_STAT_MTIME, "q"),
    "ctime_ns": (lib.FO_STAT_CTIME, "q"),
    "btime_ns": (lib.FO_STAT_BTIME, "q"),
}
_INDEX = {name: (bit.bit_length() - 1, code, 4 if code == "I" else 8) for name, (bit, code) in _COLUMNS.items()}

# The values of <fcntl.h>; the os module does not tell.
_AT_FDCWD = -2 if sys.platform == "darwin" else -100
_ECHILD = errno.ECHILD
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

# How paths come: as a pickle of objects, joined by zero bytes, or as names and directories apart.
_LAYOUTS = {"paths": lib.FO_SCAN_PATHS | lib.FO_SCAN_PICKLE, "blocks": lib.FO_SCAN_PATHS, "batches": 0}
_TEXT = lib.FO_SCAN_TEXT if _ENCODING == "utf-8" else 0
_SORTED = lib.FO_SCAN_SORT | lib.FO_SCAN_PATHS
_PATHS = _LAYOUTS["paths"]
_PATHS_OF_TEXT = _PATHS | _TEXT


def _mask(fields: tuple[str, ...]) -> int:
    mask = 0
    for name in fields:
        if name != "type":
            mask |= _COLUMNS[name][0]
    return mask


class Rows:
    """One batch of the core, held until it is released."""

    __slots__ = ("_owner", "_pointer", "_text", "_views", "count", "error_count")

    def __init__(self, pointer: Any, text: bool) -> None:
        self._pointer = pointer
        self._text = text
        self._owner: Any = None  # once there are views: the cdata that gives the batch back when it dies
        self._views: list[memoryview] = []
        self.count: int = pointer.count
        self.error_count: int = pointer.error_count

    def _struct(self) -> Any:
        if self._pointer is None:
            raise ValueError("the batch was released")
        return self._pointer

    def paths(self) -> Sequence[Any]:
        batch = self._struct()
        if batch.count == 0:
            return ()
        if not batch.pickled:
            found: Sequence[Any] = self._with_paths(lambda buffer: _split(buffer, self._text))
            return found
        # The core has written it: it holds nothing but strings.
        found = loads(ffi.buffer(batch.names, batch.names_size))
        if self._text and (batch.undecoded or not _TEXT):
            return [path if type(path) is str else path.decode(_ENCODING, _ERRORS) for path in found]
        return found

    def joined(self) -> bytes:
        """The paths as one piece, zero bytes between them."""
        return self._with_paths(bytes) if self._struct().count else b""

    def _with_paths(self, use: Callable[[Any], Any]) -> Any:
        """What `use` makes of the buffer with the paths, zero bytes between them."""
        batch = self._struct()
        if batch.name_offsets == ffi.NULL:
            return use(ffi.buffer(batch.names, batch.names_size - 1))
        out, size = ffi.new("char **"), ffi.new("int64_t *")
        check(lib.fo_batch_paths(batch, out, size))
        try:
            return use(ffi.buffer(out[0], size[0] - 1))
        finally:
            lib.fo_batch_free_paths(out[0])

    def names(self) -> list[Any]:
        batch = self._struct()
        if batch.name_offsets == ffi.NULL:
            slash = "/" if self._text else b"/"
            return [path[path.rfind(slash) + 1 :] for path in self.paths()]
        offsets: Any = ffi.unpack(batch.name_offsets, batch.count + 1)
        data = bytes(ffi.buffer(batch.names, batch.names_size))
        found = [data[start:end] for start, end in pairwise(offsets)]
        return [name.decode(_ENCODING, _ERRORS) for name in found] if self._text else found

    def types(self) -> bytes:
        batch = self._struct()
        return bytes(ffi.buffer(batch.type, batch.count))

    def errors(self) -> "list[tuple[int, str | bytes]]":
        """(errno, path) of the errors in the batch."""
        batch = self._struct()
        if batch.error_count == 0:
            return []
        numbers: Any = ffi.unpack(batch.error_numbers, batch.error_count)
        names = _split(ffi.buffer(batch.error_paths, batch.error_paths_size - 1), self._text)
        return list(zip(numbers, names, strict=True))

    def column(self, name: str) -> memoryview:
        index, code, width = _INDEX[name]
        batch = self._struct()
        return self._view(batch.columns[index], batch.count * width, code)

    def values(self, name: str) -> list[int]:
        """A column as a list, copied."""
        index, code, width = _INDEX[name]
        batch = self._pointer
        found: list[int] = _memory(batch.columns[index], batch.count * width, code).tolist()
        return found

    def arrow(self, name: str) -> memoryview:
        """One of the buffers of the names layout, zero-copy."""
        batch = self._struct()
        sizes = {
            "names": (batch.names, batch.names_size, "B"),
            "name_offsets": (batch.name_offsets, 4 * (batch.count + 1), "i"),
            "directory": (batch.directory, 4 * batch.count, "i"),
            "directories": (batch.directories, batch.directories_size, "B"),
            "directory_offsets": (batch.directory_offsets, 4 * (batch.directory_count + 1), "i"),
            "directory_depths": (batch.directory_depths, 4 * batch.directory_count, "i"),
            "type": (batch.type, batch.count, "B"),
        }
        return self._view(*sizes[name])

    def _view(self, address: Any, size: int, code: str) -> memoryview:
        if self._owner is None:
            self._owner = ffi.gc(self._pointer, lib.fo_batch_release)
        # Whoever has a buffer of the view holds the address, whose destructor holds the batch.
        held = ffi.gc(address, _Held(self._owner))
        view: memoryview = _memory(held, size, code)
        self._views.append(view)
        return view

    def release(self) -> None:
        """Gives the memory back. Views become void; where somebody has made others of them, the last one gives it."""
        pointer, self._pointer = self._pointer, None
        if self._owner is not None:
            self._owner = None
            for view in self._views:
                with suppress(BufferError):
                    view.release()
            self._views.clear()
        elif pointer is not None:
            lib.fo_batch_release(pointer)

    def __del__(self) -> None:
        self.release()


class _Held:
    """A destructor that does nothing but hold what has to live as long."""

    __slots__ = ("owner",)

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __call__(self, address: Any) -> None:
        pass


def _memory(address: Any, size: int, code: Any) -> Any:
    return memoryview(ffi.buffer(address, size)).cast(code)


def _split(buffer: Any, text: bool) -> list[Any]:
    if text:
        return str(buffer, _ENCODING, _ERRORS).split("\0")
    return bytes(buffer).split(b"\0")


_new_options = functools.partial(ffi.new, ffi.typeof("struct fo_scan_options *"))
_new_handle = functools.partial(ffi.new, ffi.typeof("struct fo_scan **"))
_new_batch = functools.partial(ffi.new, ffi.typeof("struct fo_batch **"))
_from_buffer = ffi.from_buffer
_default_options = _new_options({"dir_fd": _AT_FDCWD, "min_depth": 1, "max_depth": -1})
_DEFAULTS: Any = _default_options[0]
_LEAST_SAID = 4  # root, text, fields, wanted


def _say(raw: Any, options: "Options") -> None:
    """Sets what was not left at its default."""
    if options.dir_fd is not None:
        raw.dir_fd = options.dir_fd
    if options.follow_symlinks:
        raw.flags |= lib.FO_SCAN_FOLLOW_SYMLINKS
    if options.same_filesystem:
        raw.flags |= lib.FO_SCAN_SAME_FILESYSTEM
    raw.min_depth = options.min_depth
    if options.max_depth is not None:
        raw.max_depth = options.max_depth
    raw.threads = options.threads or 0
    raw.max_entries = options.max_entries or 0
    raw.max_nanoseconds = options.max_nanoseconds or 0


class Engine:
    """A scan of the core."""

    def __init__(self, options: "Options") -> None:
        self._text = options.text
        raw: Any = _new_options(_DEFAULTS)
        keep: list[Any] = [_from_buffer(options.root + b"\0")]
        raw.root = keep[0]
        raw.flags = _SORTED if options.sort else _PATHS_OF_TEXT if options.text else _PATHS
        # The rest is the default's, unless it was said: a quick way for small scans.
        if len(said := options.__dict__) > _LEAST_SAID:
            _say(raw, options)
            if "frontier" in said:
                keep += _give_frontier(raw, options)
        if options.fields:
            raw.fields = _mask(options.fields)
        owned = _give_owned(raw, options) if len(said) > _LEAST_SAID else ()
        out = _new_handle()
        result: int = lib.fo_scan_open(raw, out)
        if result < 0:
            for free, pointer in owned:
                free(pointer)
            raise error_from_errno(-result)
        # Closed by close(), given up only when nobody can be using it any more.
        self._handle: Any = ffi.gc(out[0], lib.fo_scan_free)
        self._out = _new_batch()

    def lay_out(self, kind: str) -> None:
        """How the batches are to hold their paths, said before the first next(): for "paths", "blocks" or "batches"."""
        lib.fo_scan_lay_out(self._handle, _LAYOUTS[kind] | (_TEXT if self._text else 0))

    def next(self) -> "Rows | bool | None":
        """The next batch; None at the end, False when a wait of some milliseconds was in vain."""
        result: int = lib.fo_scan_next(self._handle, _TICK_MS, self._out)
        if result == 1:
            return Rows(self._out[0], self._text)
        if result == 0:
            return False
        if result == 2:
            return None
        raise _failure(result)

    def stats(self) -> "tuple[int, int, int, int, tuple[str | bytes, ...], int]":
        """entries, directories, errors, threads_peak, stalled, elapsed_ns."""
        raw: Any = ffi.new("struct fo_scan_stats *")
        result: int = lib.fo_scan_stats(self._handle, raw)
        if result < 0:
            raise _failure(result)
        stalled: tuple[str | bytes, ...] = ()
        if raw.stalled:
            buffer = ffi.new("char[]", 65536)
            size = lib.fo_scan_stalled(self._handle, buffer, 65536)
            if size > 0:
                stalled = tuple(_split(ffi.buffer(buffer, size - 1), self._text))
        return raw.entries, raw.directories, raw.errors, raw.threads_peak, stalled, raw.elapsed_ns

    def frontier(self) -> tuple[bytes, ...]:
        """The directories below the root that the budget left unread."""
        size = check(lib.fo_scan_frontier(self._handle, ffi.NULL, 0))
        if size == 0:
            return ()
        buffer = ffi.new("char[]", size)
        check(lib.fo_scan_frontier(self._handle, buffer, size))
        return tuple(bytes(ffi.buffer(buffer, size - 1)).split(b"\0"))

    def visited(self) -> bytes:
        """What a scan that follows symbolic links has entered."""
        count = check(lib.fo_scan_visited(self._handle, ffi.NULL, -1))
        buffer = ffi.new("uint64_t[]", 2 * count)
        lib.fo_scan_visited(self._handle, buffer, count)
        return bytes(ffi.buffer(buffer))

    def close(self) -> None:
        """Ends the scan, whoever may be inside next()."""
        lib.fo_scan_close(self._handle)


def _failure(result: int) -> Exception:
    if result == -_ECHILD:
        return RuntimeError("this scan belongs to the process that this one was forked from")
    return error_from_errno(-result)


def _give_frontier(raw: Any, options: "Options") -> list[Any]:
    """Points the options at a frontier; returns what has to live as long."""
    assert options.frontier is not None
    blob = b"".join(path + b"\0" for path in options.frontier)
    keep = [ffi.from_buffer(blob + b"\0")]
    raw.frontier, raw.frontier_size = keep[0], len(blob)
    if options.visited:
        keep.append(ffi.from_buffer("uint64_t[]", options.visited))
        raw.visited, raw.visited_count = keep[1], len(options.visited) // 16
    return keep


def _give_owned(raw: Any, options: "Options") -> list[tuple[Any, Any]]:
    """Makes what the scan will own: (the function that frees it, the pointer)."""
    owned: list[tuple[Any, Any]] = []
    for name, code in (("where", options.where_code), ("prune", options.prune_code)):
        if code is not None:
            out = ffi.new("struct fo_predicate **")
            check(lib.fo_predicate_new(code, len(code), out))
            setattr(raw, name, out[0])
            owned.append((lib.fo_predicate_free, out[0]))
    if options.ignore is not None:
        from fastos._backend.native_ignore import new_context, real_path

        raw.ignore = new_context(options.ignore, real_path(options.root, options.dir_fd))
        owned.append((lib.fo_ignore_release, raw.ignore))
    return owned
