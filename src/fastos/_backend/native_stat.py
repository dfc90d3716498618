"""Metadata on the compiled core: one statx a path, many paths a call."""

import errno
import os
import time
from collections.abc import Sequence
from typing import Any, Literal

from fastos._backend.native import ffi, lib
from fastos._errors import check

_AT_FDCWD = -100 if os.uname().sysname == "Linux" else -2
_AT_SYMLINK_NOFOLLOW = 0x100 if os.uname().sysname == "Linux" else 0x20
_AT_EMPTY_PATH = 0x1000

_FORMATS = {"b": "uint8_t[]", "q": "int64_t[]", "Q": "uint64_t[]", "I": "uint32_t[]"}
_MASKS = {
    "type": lib.FO_STAT_TYPE,
    "size": lib.FO_STAT_SIZE,
    "blocks": lib.FO_STAT_BLOCKS,
    "ino": lib.FO_STAT_INO,
    "dev": lib.FO_STAT_DEV,
    "mode": lib.FO_STAT_MODE | lib.FO_STAT_TYPE,
    "uid": lib.FO_STAT_UID,
    "gid": lib.FO_STAT_GID,
    "nlink": lib.FO_STAT_NLINK,
    "atime_ns": lib.FO_STAT_ATIME,
    "mtime_ns": lib.FO_STAT_MTIME,
    "ctime_ns": lib.FO_STAT_CTIME,
    "btime_ns": lib.FO_STAT_BTIME,
}
_CODES: dict[str, Literal["B", "q", "Q", "I"]] = {"b": "B", "q": "q", "Q": "Q", "I": "I"}


def stat(path: bytes | int, follow_symlinks: bool, dir_fd: int | None) -> tuple[tuple[Any, ...], int] | None:
    """The sequence that os.stat_result is made of, and the birth time (-1: unknown); None if it failed."""
    out: Any = ffi.new("struct fo_stat *")
    if isinstance(path, int):
        result = lib.fo_stat_at(path, b"", _AT_EMPTY_PATH, lib.FO_STAT_ALL, out)
    else:
        base = _AT_FDCWD if dir_fd is None else dir_fd
        result = lib.fo_stat_at(base, path, 0 if follow_symlinks else _AT_SYMLINK_NOFOLLOW, lib.FO_STAT_ALL, out)
    if result < 0:
        return None
    times = [out.atime_ns, out.mtime_ns, out.ctime_ns]
    whole = [divmod(time, 1_000_000_000) for time in times]
    values = (
        *(out.mode, out.ino, out.dev, out.nlink, out.uid, out.gid, out.size),
        *(seconds for seconds, _ in whole),
        *(seconds + 1e-9 * rest for seconds, rest in whole),
        *times,
        *(out.blksize, out.blocks, out.rdev),
    )
    return values, out.btime_ns


# How many paths one native call looks at, and how long it should take, in seconds.
_FIRST_CHUNK, _LEAST_CHUNK, _MOST_CHUNK = 1024, 64, 65536
_SOON = 0.025


def stat_many(
    paths: Sequence[bytes], formats: dict[str, str], follow_symlinks: bool, dir_fd: int | None, threads: int
) -> tuple[dict[str, memoryview], list[tuple[int, int]]]:
    """The columns by name, and (index, errno) of each path that failed."""
    count = len(paths)
    # An empty path is what the kernel is asked for by "", and a NUL inside one ends it: neither can be meant.
    broken = {index for index, path in enumerate(paths) if b"\0" in path}
    columns, pointers = {}, {}
    for name, code in formats.items():
        column = memoryview(bytearray(count * {"b": 1, "I": 4}.get(code, 8)))
        columns[name] = column.cast(_CODES[code])
        pointers[name] = ffi.from_buffer(_FORMATS[code], column)
    out: Any = ffi.new("struct fo_stat_columns *")
    error: Any = ffi.new("int32_t[]", max(count, 1))
    mask = 0
    for name in formats:
        mask |= _MASKS.get(name, lib.FO_STAT_BASIC)
    flags = 0 if follow_symlinks else _AT_SYMLINK_NOFOLLOW
    base = _AT_FDCWD if dir_fd is None else dir_fd
    begin, size, failed = 0, _FIRST_CHUNK, 0
    while begin < count:
        # One call for so many that the interpreter hears signals in time, however slow the file system is.
        end = min(begin + size, count)
        heap = b"\0".join(b"" if index in broken else paths[index] for index in range(begin, end)) + b"\0"
        for name, pointer in pointers.items():
            setattr(out, name, pointer + begin)
        started = time.monotonic()
        failed += check(lib.fo_stat_many(base, heap, end - begin, flags, mask, threads, out, error + begin))
        took = time.monotonic() - started
        size = (
            min(size * 2, _MOST_CHUNK) if took < _SOON else max(size // 2, _LEAST_CHUNK) if took > 2 * _SOON else size
        )
        begin = end
    if not failed:
        return columns, []
    codes: Any = ffi.unpack(error, count)
    return columns, [(i, errno.EINVAL if i in broken else code) for i, code in enumerate(codes) if code]
