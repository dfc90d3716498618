"""Every exception of fastos, and `check`: a negative errno becomes the right OSError."""

import errno
import os
from typing import TypeVar

PathType = TypeVar("PathType", str, bytes, int)


def error_from_errno(error: int, filename: object = None, message: str | None = None) -> OSError:
    """The OSError (its subclass where there is one) for a positive errno."""
    text = message or os.strerror(error)
    return OSError(error, text) if filename is None else OSError(error, text, filename)


def check(result: int, filename: object = None) -> int:
    """Returns a C function's result, or raises the OSError that a negative one stands for."""
    if result < 0:
        raise error_from_errno(-result, filename)
    return result


class SpawnError(OSError):
    """A process could not be started.

    An OSError with the errno of the system call that failed and, in `step`, its name: `exec`, `chdir`,
    `setrlimit(RLIMIT_NOFILE)`, ... (the order of the steps is in docs/spawn.md). `filename` is what the step was about,
    where that has a name: the program, the directory, the cgroup. Each is also the built-in subclass of its errno, so
    `except FileNotFoundError` catches a missing program.
    """

    step: str = ""


class SpawnFileNotFoundError(SpawnError, FileNotFoundError):
    """ENOENT: the program, the directory or the interpreter in the script's first line is not there."""


class SpawnPermissionError(SpawnError, PermissionError):
    """EACCES or EPERM: not executable, a directory, or ids and limits that the caller may not set."""


class SpawnNotADirectoryError(SpawnError, NotADirectoryError):
    """ENOTDIR: a part of a path that should be a directory is none."""


class SpawnBlockingIOError(SpawnError, BlockingIOError):
    """EAGAIN: no more processes allowed (RLIMIT_NPROC, pids.max)."""


class SpawnProcessLookupError(SpawnError, ProcessLookupError):
    """ESRCH: no such process group, or the parent was dead before the child could be tied to it."""


_SPAWN_ERRORS: dict[int, type[SpawnError]] = {
    errno.ENOENT: SpawnFileNotFoundError,
    errno.EACCES: SpawnPermissionError,
    errno.EPERM: SpawnPermissionError,
    errno.ENOTDIR: SpawnNotADirectoryError,
    errno.EAGAIN: SpawnBlockingIOError,
    errno.ESRCH: SpawnProcessLookupError,
}


def spawn_error(step: str, error: int, filename: object = None, hint: str = "") -> SpawnError:
    """The SpawnError of a step that failed with a positive errno."""
    text = f"{step}: {os.strerror(error)}{f' ({hint})' if hint else ''}"
    kind = _SPAWN_ERRORS.get(error, SpawnError)
    made = kind(error, text) if filename is None else kind(error, text, filename)
    made.step = step
    return made
