"""Environment variables, from the compiled core.

Unlike the interpreter's own, these let other threads run meanwhile; `fastos.environment` therefore goes through
`os.environ`, whose changes no other Python thread can see half done.
"""

import errno
import os
from sys import audit
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import StrOrBytesPath, encode, fail


def putenv(name: StrOrBytesPath, value: StrOrBytesPath, /) -> None:
    raw_name, raw_value = encode(name, "putenv", "name"), encode(value, "putenv", "value")
    if b"=" in raw_name:
        raise ValueError("illegal environment variable name")
    audit("os.putenv", raw_name, raw_value)
    if (result := lib.fo_environment_putenv(raw_name, raw_value)) < 0:
        fail(result)


def unsetenv(name: StrOrBytesPath, /) -> None:
    raw_name = encode(name, "unsetenv", "name")
    if b"=" in raw_name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    audit("os.unsetenv", raw_name)
    if (result := lib.fo_environment_unsetenv(raw_name)) < 0:
        fail(result)


_POINTER = ffi.sizeof("char *")


class _Inherited:
    """The C library's environment as it was when it was last read."""

    array: Any = None
    pointers: bytes = b""  # what the array held, the NULL included
    variables: dict[bytes, bytes] | None = None  # os.environ's: not every C library gives a changed string a new place
    block: tuple[bytes, int] = (b"\0", 0)

    def read(self, array: Any, variables: dict[bytes, bytes] | None) -> tuple[bytes, int]:
        strings: list[Any] = []
        while array and array[len(strings)]:
            strings.append(ffi.string(array[len(strings)]))
        block: bytes = b"\0".join(strings) + b"\0"  # an empty block is still a block
        self.array, self.variables, self.block = array, dict(variables or ()), (block, len(strings))
        self.pointers = bytes(ffi.buffer(array, _POINTER * (len(strings) + 1))) if array else b""
        return self.block


_last = _Inherited()


def inherited() -> tuple[bytes, int]:
    """What a child inherits, os.putenv's and C code's changes included: one block of NUL-terminated strings, and their
    number."""
    array, variables = lib.environ, getattr(os.environ, "_data", None)
    # An array that is where it was is as long as it was, or longer.
    if (
        array == _last.array
        and variables == _last.variables
        and array
        and ffi.buffer(array, len(_last.pointers)) == _last.pointers
    ):
        return _last.block
    return _last.read(array, variables)
