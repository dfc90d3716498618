"""Every exception of fastos, and `check`: a negative errno becomes the right OSError."""

import os
from typing import TypeVar

PathType = TypeVar("PathType", str, bytes, int)


def error_from_errno(errno: int, filename: object = None, message: str | None = None) -> OSError:
    """The OSError (its subclass where there is one) for a positive errno."""
    text = message or os.strerror(errno)
    return OSError(errno, text) if filename is None else OSError(errno, text, filename)


def check(result: int, filename: object = None) -> int:
    """Returns a C function's result, or raises the OSError that a negative one stands for."""
    if result < 0:
        raise error_from_errno(-result, filename)
    return result
