"""The working directory; making, listing and removing directories and names, from the compiled core."""

import os
import sys
from errno import ERANGE
from sys import audit
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import (
    FileDescriptorOrPath,
    StrOrBytesPath,
    audited,
    descriptor,
    directory,
    encode,
    fail,
    is_descriptor,
)

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_fsdecode = os.fsdecode
_MODE = 0xFFFFFFFF


def chdir(path: FileDescriptorOrPath) -> None:
    by_descriptor = is_descriptor(path)
    raw = b"" if by_descriptor else encode(path, "chdir")  # type: ignore[arg-type]
    audit("os.chdir", path)
    if by_descriptor:
        result = lib.fo_directory_fchdir(descriptor(path))  # type: ignore[arg-type]
    else:
        result = lib.fo_directory_chdir(raw)
    if result < 0:
        fail(result, path)


def fchdir(fd: Any) -> None:
    number = descriptor(fd.fileno() if hasattr(fd, "fileno") else fd)
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    audit("os.chdir", number)
    if (result := lib.fo_directory_fchdir(number)) < 0:
        fail(result)


def getcwdb() -> bytes:
    size = 4096
    while True:
        buffer = ffi.new("char[]", size)
        length = lib.fo_directory_getcwd(buffer, size)
        if length >= 0:
            return bytes(ffi.buffer(buffer, length))
        if length != -ERANGE:
            fail(length)
        size *= 4


def getcwd() -> str:
    return _fsdecode(getcwdb())


def mkdir(path: StrOrBytesPath, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
    raw, below = encode(path, "mkdir"), directory(dir_fd)
    audit("os.mkdir", path, mode, audited(dir_fd))
    if (result := lib.fo_directory_mkdir(below, raw, mode & _MODE)) < 0:
        fail(result, path)


def rmdir(path: StrOrBytesPath, *, dir_fd: int | None = None) -> None:
    raw, below = encode(path, "rmdir"), directory(dir_fd)
    audit("os.rmdir", path, audited(dir_fd))
    if (result := lib.fo_directory_rmdir(below, raw)) < 0:
        fail(result, path)


def unlink(path: StrOrBytesPath, *, dir_fd: int | None = None) -> None:
    raw, below = encode(path, "unlink"), directory(dir_fd)
    audit("os.remove", path, audited(dir_fd))
    if (result := lib.fo_directory_unlink(below, raw)) < 0:
        fail(result, path)


def remove(path: StrOrBytesPath, *, dir_fd: int | None = None) -> None:
    raw, below = encode(path, "remove"), directory(dir_fd)
    audit("os.remove", path, audited(dir_fd))
    if (result := lib.fo_directory_unlink(below, raw)) < 0:
        fail(result, path)


def _rename(
    function: str, src: StrOrBytesPath, dst: StrOrBytesPath, src_dir_fd: int | None, dst_dir_fd: int | None
) -> None:
    old, new = encode(src, function, "src"), encode(dst, function, "dst")
    from_fd, to_fd = directory(src_dir_fd), directory(dst_dir_fd)
    audit("os.rename", src, dst, audited(src_dir_fd), audited(dst_dir_fd))
    if (result := lib.fo_directory_rename(from_fd, old, to_fd, new)) < 0:
        fail(result, src, dst)


def rename(
    src: StrOrBytesPath, dst: StrOrBytesPath, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
) -> None:
    _rename("rename", src, dst, src_dir_fd, dst_dir_fd)


def replace(
    src: StrOrBytesPath, dst: StrOrBytesPath, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
) -> None:
    _rename("replace", src, dst, src_dir_fd, dst_dir_fd)


def listdir(path: Any = None) -> Any:
    by_descriptor = is_descriptor(path)
    raw = b"" if by_descriptor else encode("." if path is None else path, "listdir")
    audit("os.listdir", path)
    names: Any = ffi.new("struct fo_directory_names *")
    if by_descriptor:
        result = lib.fo_directory_list_fd(descriptor(path), names)
    else:
        result = lib.fo_directory_list(raw, names)
    if result < 0:
        fail(result, None if by_descriptor else path)
    try:
        if names.count == 0:
            return []
        heap = ffi.buffer(names.names, names.length - 1)
        as_bytes = isinstance(path, bytes) or (isinstance(path, os.PathLike) and isinstance(os.fspath(path), bytes))
        return heap[:].split(b"\0") if as_bytes else str(heap, _ENCODING, _ERRORS).split("\0")
    finally:
        lib.fo_directory_free(names)


def makedirs(name: StrOrBytesPath, mode: int = 0o777, exist_ok: bool = False) -> None:
    try:
        mkdir(name, mode)
    except FileExistsError:
        if not exist_ok or not os.path.isdir(name):
            raise
    except OSError:
        _make_chain(name, mode, exist_ok)


def _make_chain(name: Any, mode: int, exist_ok: bool) -> None:
    """What os.makedirs does, step by step, so that every error is the one it raises."""
    head, tail = os.path.split(name)
    if not tail:
        head, tail = os.path.split(head)
    if head and tail and not os.path.exists(head):
        try:
            makedirs(head, exist_ok=exist_ok)
        except FileExistsError:
            pass  # somebody else made it meanwhile
        if tail in (".", b"."):
            return
    try:
        mkdir(name, mode)
    except OSError:
        if not exist_ok or not os.path.isdir(name):
            raise


def removedirs(name: StrOrBytesPath) -> None:
    rmdir(name)
    head, tail = os.path.split(name)
    if not tail:
        head, tail = os.path.split(head)
    while head and tail:
        try:
            rmdir(head)
        except OSError:
            break
        head, tail = os.path.split(head)
