"""What every native topic needs to turn Python's arguments into C's: paths, directory descriptors, ids, errors.

The conversions, and the errors for what cannot be converted, are those of the standard `os`.
"""

import os
import sys
from operator import index
from typing import NoReturn, Protocol

from fastos._backend.native import lib

StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
FileDescriptorOrPath = int | StrOrBytesPath

CWD = lib.fo_descriptor_cwd()
_fsencode = os.fsencode
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


class _Index(Protocol):
    def __index__(self) -> int: ...


def encode(path: StrOrBytesPath, function: str, argument: str = "path") -> bytes:
    """The path's bytes. Raises TypeError for what is no path and ValueError for an embedded NUL."""
    if type(path) is str:  # by far the most frequent; os.fsencode would ask more questions
        raw = path.encode(_ENCODING, _ERRORS)
    elif isinstance(path, (str, bytes, os.PathLike)):
        raw = _fsencode(path)
    else:
        kind = type(path).__name__
        raise TypeError(f"{function}: {argument} should be string, bytes or os.PathLike, not {kind}")
    if b"\0" in raw:
        raise ValueError(f"{function}: embedded null character in {argument}")
    return raw


def is_descriptor(path: object) -> bool:
    """Whether an argument that may be a path or an open descriptor is the latter."""
    return type(path) is not str and not isinstance(path, (str, bytes, os.PathLike)) and hasattr(path, "__index__")


def descriptor(value: "int | _Index") -> int:
    """A descriptor argument as an int that fits C's."""
    number = index(value)
    if not -(1 << 31) <= number < 1 << 31:
        limit = "minimum" if number < 0 else "maximum"
        raise OverflowError(f"fd is {'less' if number < 0 else 'greater'} than {limit}")
    return number


def directory(dir_fd: "int | _Index | None") -> int:
    """The `dir_fd=` argument: None is the working directory."""
    if dir_fd is None:
        return CWD
    if not hasattr(dir_fd, "__index__"):
        raise TypeError(f"argument should be integer or None, not {type(dir_fd).__name__}")
    return descriptor(dir_fd)


def audited(dir_fd: int | None) -> int:
    """How an audit event names `dir_fd`: -1 for none."""
    return -1 if dir_fd is None else dir_fd


def identity(value: "int | _Index", name: str) -> int:
    """A user or group id as C's unsigned: -1 means "leave it"."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name} should be integer, not {type(value).__name__}")
    number = index(value)
    if number == -1:
        return 0xFFFFFFFF
    if number < 0:
        raise OverflowError(f"{name} is less than minimum")
    if number > 0xFFFFFFFF:
        raise OverflowError(f"{name} is greater than maximum")
    return number


def fail(result: int, path: object = None, path2: object = None) -> NoReturn:
    """Raises the OSError that a negative result stands for."""
    message = os.strerror(-result)
    if path is None:
        raise OSError(-result, message)
    if path2 is None:
        raise OSError(-result, message, _named(path))
    raise OSError(-result, message, _named(path), None, _named(path2))


def _named(path: object) -> object:
    return os.fspath(path) if isinstance(path, os.PathLike) else path
