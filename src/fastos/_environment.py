"""The environment and the working directory, changed for a block of code.

Both belong to the whole process: every thread sees the change. The way that is safe with threads is to give them to
the child alone, `fastos.spawn(..., cwd=..., env=...)`.
"""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

__all__ = ["environ", "environment", "working_directory"]

environ: MutableMapping[str, str] = os.environ
"""The process's environment: the very object that is `os.environ`."""


@contextmanager
def environment(mapping: MutableMapping[str, str | None] | None = None, /, **changes: str | None) -> Iterator[None]:
    """A block in which environment variables are changed; each is as it was before on any exit.

    Names and values are given as keywords, or as a mapping for names that are no Python identifiers; None removes a
    variable. Blocks nest. Only the variables named are put back: what the block changes besides stays changed.

    Raises TypeError for a value that is neither str nor None, ValueError for a name that is empty or holds `=` or NUL,
    OSError if the environment refuses it; then nothing has changed.

    The environment belongs to the whole process: every thread, and every child started meanwhile, sees the change, and
    C code in other threads that calls getenv(3) at that moment is at risk. `fastos.spawn(env=...)` has neither problem.
    """
    wanted = {**(mapping or {}), **changes}
    for name, value in wanted.items():
        _check(name, value)
    before = {name: os.environ.get(name) for name in wanted}
    try:
        _apply(wanted)
        yield
    finally:
        _apply(before)


def _check(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, (str, type(None))):
        raise TypeError(f"environment: names should be str, values str or None to remove, not {name!r}: {value!r}")
    if "\0" in name or "\0" in (value or ""):
        raise ValueError(f"environment: embedded null character in {name!r}: {value!r}")
    if not name or "=" in name:
        raise ValueError(f"environment: {name!r} is no name of a variable")


def _apply(changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def working_directory(path: str | bytes | os.PathLike[str] | os.PathLike[bytes] | int) -> Iterator[str]:
    """A block in which `path` (or an open directory's descriptor) is the working directory; the former one comes back.

    Gives the absolute path inside. The way back goes by an open descriptor, so it works when the former directory was
    renamed or moved meanwhile, or lies deeper than a path can say. Blocks nest.

    Raises what os.chdir raises (FileNotFoundError, NotADirectoryError, PermissionError); then nothing has changed.

    The working directory belongs to the whole process: every thread sees the change. `fastos.spawn(cwd=...)` changes it
    in the child alone, and `dir_fd=` arguments need none.
    """
    if os.chdir not in os.supports_fd:
        with _by_path(path) as inside:
            yield inside
        return
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:  # an interrupt may come just behind the change
            os.chdir(path)
            yield os.getcwd()
        finally:
            os.fchdir(before)
    finally:
        os.close(before)


@contextmanager
def _by_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes] | int) -> Iterator[str]:
    before = os.getcwd()
    try:
        os.chdir(path)
        yield os.getcwd()
    finally:
        os.chdir(before)
