"""The standard streams of a command: there, and quiet at the end."""

import os
import sys
from typing import Any


def complete() -> None:
    """Fills descriptors 0, 1 and 2 where they are closed, so that no file that is opened takes their place. Reading
    such an input and writing such an output fail with EBADF, as they do in every program; what would go to the error
    output is gone."""
    for fd, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # the lowest that is free: this one
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def escape_what_cannot_be_written() -> None:
    """Lets a character that the locale's encoding does not have come out as a backslash escape, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def console(**options: Any) -> Any:
    """rich's Console, which lets a closed pipe be told like any other error in place of ending the program, and where
    the output is no terminal breaks no line."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  (rich calls it while it handles the BrokenPipeError)

    return Plain(**options, width=None if sys.stdout.isatty() else 1 << 16)


def discard_output(fd: int = 1) -> None:
    """After a failure to write: what is left in the buffer goes nowhere, or the interpreter would try once more."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def let_go_of_errors() -> None:
    """At the end: messages that nobody can have are no failure."""
    try:
        sys.stderr.flush()
    except OSError:
        discard_output(2)
