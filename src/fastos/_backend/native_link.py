"""Symbolic and hard links, from the compiled core."""

import os
from sys import audit
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import StrOrBytesPath, audited, directory, encode, fail

_fsdecode = os.fsdecode


def symlink(
    src: StrOrBytesPath, dst: StrOrBytesPath, target_is_directory: bool = False, *, dir_fd: int | None = None
) -> None:
    target, raw, below = encode(src, "symlink", "src"), encode(dst, "symlink", "dst"), directory(dir_fd)
    audit("os.symlink", src, dst, audited(dir_fd))
    if (result := lib.fo_link_symlink(target, below, raw)) < 0:
        fail(result, src, dst)


def link(
    src: StrOrBytesPath,
    dst: StrOrBytesPath,
    *,
    src_dir_fd: int | None = None,
    dst_dir_fd: int | None = None,
    follow_symlinks: bool = True,
) -> None:
    old, new = encode(src, "link", "src"), encode(dst, "link", "dst")
    from_fd, to_fd = directory(src_dir_fd), directory(dst_dir_fd)
    audit("os.link", src, dst, audited(src_dir_fd), audited(dst_dir_fd))
    if (result := lib.fo_link_link(from_fd, old, to_fd, new, follow_symlinks)) < 0:
        fail(result, src, dst)


def readlink(path: Any, *, dir_fd: int | None = None) -> Any:
    raw, below, size = encode(path, "readlink"), directory(dir_fd), 1024
    while True:
        buffer = ffi.new("char[]", size)
        length = lib.fo_link_readlink(below, raw, buffer, size)
        if length < 0:
            fail(length, path)
        if length < size:
            break
        size *= 4
    target = ffi.buffer(buffer, length)[:]
    return target if isinstance(os.fspath(path), bytes) else _fsdecode(target)
