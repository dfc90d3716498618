"""Environment variables, from the compiled core.

Unlike the interpreter's own, these let other threads run meanwhile; `fastos.environment` therefore goes through
`os.environ`, whose changes no other Python thread can see half done.
"""

import errno
import os
from sys import audit

from fastos._backend.native import lib
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
