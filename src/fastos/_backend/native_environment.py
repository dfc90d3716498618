"""Environment variables, from the compiled core.

Unlike the interpreter's own, these let other threads run meanwhile; `fastos.environment` therefore goes through
`os.environ`, whose changes no other Python thread can see half done.
"""

import errno
import os
from sys import audit
from typing import Any, Final, NamedTuple

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


_POINTER: Final = ffi.sizeof("char *")
_buffer: Final = ffi.buffer


def _is_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (ValueError, OSError):
        return False


# glibc never frees or overwrites a string: who changes one changes the array. Elsewhere os.environ is compared too.
_TRUSTS_POINTERS: Final = _is_glibc()


class _Inherited(NamedTuple):
    """The C library's environment when it was read."""

    array: Any  # where the C library had its pointers; None: nowhere
    pointers: bytes  # what they were, the NULL included
    block: tuple[bytes, int]
    variables: dict[bytes, bytes] | None  # os.environ's


_last = _Inherited(None, b"", (b"\0", 0), None)


def _variables() -> dict[bytes, bytes] | None:
    return getattr(os.environ, "_data", None)


def _read(array: Any) -> tuple[bytes, int]:
    global _last
    strings: list[Any] = []
    while array and array[len(strings)]:
        strings.append(ffi.string(array[len(strings)]))
    block: bytes = b"\0".join(strings) + b"\0"  # an empty block is still a block
    pointers = bytes(_buffer(array, _POINTER * (len(strings) + 1))) if array else b""
    _last = _Inherited(array or None, pointers, (block, len(strings)), dict(_variables() or ()))
    return _last.block


def inherited() -> tuple[bytes, int]:
    """What a child inherits, os.putenv's and C code's changes included: one block of NUL-terminated strings, and their
    number."""
    array = lib.environ
    was, pointers, block, variables = _last
    # An array that is where it was is as long as it was, or longer.
    if array == was and _buffer(array, len(pointers)) == pointers and (_TRUSTS_POINTERS or variables == _variables()):
        return block
    return _read(array)
