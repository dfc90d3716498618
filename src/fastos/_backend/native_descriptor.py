"""open, read, write, close, dup, pipe, from the compiled core.

Descriptors are not inheritable (PEP 446), and a call that a signal interrupts runs the handler and is made again
(PEP 475).
"""

from errno import EINTR, EINVAL
from sys import audit
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import StrOrBytesPath, descriptor, directory, encode, fail

_buffer = ffi.new_allocator(should_clear_after_alloc=False)
_read, _write = lib.fo_descriptor_read, lib.fo_descriptor_write
_LOWER = 0xFFFFFFFF


def open(path: StrOrBytesPath, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    raw, below = encode(path, "open"), directory(dir_fd)
    audit("open", path, None, flags)
    while (result := lib.fo_descriptor_open(below, raw, flags, mode & _LOWER)) == -EINTR:
        pass
    return result if result >= 0 else fail(result, path)


def read(fd: int, length: int, /) -> bytes:
    if length < 0:
        fail(-EINVAL)
    data = _buffer("char[]", length)
    while (count := _read(fd, data, length)) == -EINTR:
        pass
    return bytes(ffi.buffer(data, count)) if count >= 0 else fail(count)


def write(fd: int, data: Any, /) -> int:
    if type(data) is not bytes:
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        data = ffi.from_buffer("char[]", memoryview(data).cast("B"))
    while (count := _write(fd, data, len(data))) == -EINTR:
        pass
    return count if count >= 0 else fail(count)


def lseek(fd: int, position: int, whence: int, /) -> int:
    result = lib.fo_descriptor_lseek(fd, position, whence)
    return result if result >= 0 else fail(result)


def close(fd: int) -> None:
    if (result := lib.fo_descriptor_close(descriptor(fd))) < 0:
        fail(result)


def closerange(fd_low: int, fd_high: int, /) -> None:
    lib.fo_descriptor_closerange(fd_low, fd_high)


def dup(fd: int, /) -> int:
    result = lib.fo_descriptor_dup(fd)
    return result if result >= 0 else fail(result)


def dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    result = lib.fo_descriptor_dup2(fd, fd2, bool(inheritable))
    return result if result >= 0 else fail(result)


def pipe() -> tuple[int, int]:
    ends = lib.fo_descriptor_pipe()
    return (ends >> 32, ends & _LOWER) if ends >= 0 else fail(ends)


def pipe2(flags: int, /) -> tuple[int, int]:
    ends = lib.fo_descriptor_pipe2(flags)
    return (ends >> 32, ends & _LOWER) if ends >= 0 else fail(ends)


def get_inheritable(fd: int, /) -> bool:
    result = lib.fo_descriptor_inheritable(fd)
    return bool(result) if result >= 0 else fail(result)


def set_inheritable(fd: int, inheritable: int, /) -> None:
    if (result := lib.fo_descriptor_set_inheritable(fd, inheritable)) < 0:
        fail(result)
