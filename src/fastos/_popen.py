"""popen, popen2, popen3, popen4: a command and the streams that are connected to it.

A string is a command line for the shell; a sequence is a program and its arguments, with no shell. They are the quick
way for one small command; `fastos.run` and `fastos.spawn` are the ones that can do everything.
"""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from fastos import _backend

if TYPE_CHECKING:
    from fastos._backend import native_launch as backend
else:
    backend = _backend.topic("launch")

__all__ = ["popen", "popen2", "popen3", "popen4"]

Command = str | bytes | Sequence[str | bytes | os.PathLike[str]]

_unreaped: "list[backend.Child]" = []


class _Tail:
    """The child behind some streams: when the last of them is closed, its status is waited for."""

    def __init__(self, child: "backend.Child", streams: int) -> None:
        self.child, self.streams = child, streams
        self.status: int | None = None  # in the form that os.popen has always had: None for success, else code << 8

    def __del__(self) -> None:
        # The caller dropped a stream without closing it: the child is reaped when the next one starts.
        if self.streams and not self.child.poll():
            _unreaped.append(self.child)

    def release(self) -> int | None:
        self.streams -= 1
        if self.streams == 0:
            code = self.child.wait()
            self.status = None if code == 0 else (code if os.name == "nt" else code << 8)
        return self.status


class PipeStream:
    """A file object on one end of a pipe; everything but `close` is the file's own (`io.TextIOWrapper` or
    `io.BufferedReader`/`Writer`)."""

    def __init__(self, stream: IO[Any], tail: _Tail) -> None:
        self._stream, self._tail = stream, tail

    def close(self) -> int | None:
        """Closes the stream. The close of the command's last stream waits for it to end, and returns None if it ended
        with 0, else its exit status shifted left by eight (minus the signal, shifted, if it was killed); so does any
        close after it."""
        if self._stream.closed:
            return self._tail.status
        try:
            self._stream.close()
        finally:
            status = self._tail.release()
        return status

    def __enter__(self) -> "PipeStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __next__(self) -> Any:
        return next(self._stream)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of process {self._tail.child.pid}: {self._stream!r}>"


def _shell(command: str | bytes) -> list[str | bytes]:
    if os.name == "nt":
        return [os.environ.get("COMSPEC", "cmd.exe"), "/c", command]
    return ["/system/bin/sh" if hasattr(sys, "getandroidapilevel") else "/bin/sh", "-c", command]


def _start(command: Any, stdin: bool, stdout: bool, stderr: str) -> "backend.Child":
    _unreaped[:] = [child for child in _unreaped if not child.poll()]
    if isinstance(command, (str, bytes)):
        return backend.start(_shell(command), stdin, stdout, stderr)
    if not isinstance(command, Sequence):
        raise TypeError(f"a command is a string or a sequence of strings, not {type(command).__name__}")
    if not command:
        raise ValueError("the command is an empty sequence")
    return backend.start(command, stdin, stdout, stderr)


def _file(fd: int, mode: str, text: bool, bufsize: int) -> IO[Any]:
    """The file object that subprocess would make of the same arguments."""
    by_line = bufsize == 1
    raw = open(fd, mode, -1 if by_line else bufsize)  # noqa: SIM115  (the caller closes it)
    if not text:
        return raw
    return io.TextIOWrapper(
        raw,
        encoding="utf-8" if sys.flags.utf8_mode else "locale",
        write_through=mode == "wb",
        line_buffering=by_line and mode == "wb",
    )


def popen(cmd: str, mode: str = "r", buffering: int = -1) -> Any:
    """Runs a shell command with one stream: its output to read (`"r"`) or its input to write to (`"w"`).

    Exactly os.popen: a text stream whose `close()` waits and returns None, or the exit status shifted left by eight.

    Raises TypeError if the command is no str, ValueError for another mode or no buffering.
    """
    if not isinstance(cmd, str):
        raise TypeError(f"invalid cmd type ({type(cmd)}, expected string)")
    if mode not in ("r", "w"):
        raise ValueError(f"invalid mode {mode!r}")
    if buffering == 0 or buffering is None:
        raise ValueError("popen() does not support unbuffered streams")
    if not isinstance(buffering, int):
        raise TypeError("bufsize must be an integer")
    if "\0" in cmd:
        raise ValueError("embedded null byte")
    child = _start(cmd, mode == "w", mode == "r", "inherit")
    end = child.pipes[0] if mode == "w" else child.pipes[1]
    return PipeStream(_file(end, mode + "b", True, buffering), _Tail(child, 1))


def _streams(cmd: Command, mode: str, bufsize: int, stderr: str) -> list[PipeStream]:
    if mode not in ("t", "b"):
        raise ValueError(f"invalid mode {mode!r}: t (text) or b (bytes)")
    if mode == "t" and bufsize == 0:
        raise ValueError("text streams cannot be unbuffered: bufsize=0 needs mode='b'")
    child = _start(cmd, True, True, stderr)
    ends = [(fd, "wb" if number == 0 else "rb") for number, fd in enumerate(child.pipes) if fd >= 0]
    tail = _Tail(child, len(ends))
    return [PipeStream(_file(fd, direction, mode == "t", bufsize), tail) for fd, direction in ends]


def popen2(cmd: Command, mode: str = "t", bufsize: int = -1) -> tuple[PipeStream, PipeStream]:
    """Runs a command with its input and its output: returns (stdin, stdout), the first to write, the second to read.

    cmd      a string: a command line for the shell. A sequence: the program (looked for in PATH) and its arguments.
    mode     "t": text in the locale's encoding; "b": bytes.
    bufsize  as open() has it: -1 the default, 0 none (bytes only), 1 by line, else bytes.

    The `close()` of the stream that is closed last waits for the command and returns its status as os.popen does.
    The caller must not write more than a pipe holds (64 KiB on Linux) while the command waits for its own output to be
    read; `fastos.run(input=...)` does both at once.

    Raises OSError with the program's name if it cannot be started (a sequence; the shell reports it on stderr and ends
    with 127), TypeError or ValueError for other arguments.
    """
    stdin, stdout = _streams(cmd, mode, bufsize, "inherit")
    return stdin, stdout


def popen3(cmd: Command, mode: str = "t", bufsize: int = -1) -> tuple[PipeStream, PipeStream, PipeStream]:
    """As popen2 with the error output apart: returns (stdin, stdout, stderr)."""
    stdin, stdout, stderr = _streams(cmd, mode, bufsize, "pipe")
    return stdin, stdout, stderr


def popen4(cmd: Command, mode: str = "t", bufsize: int = -1) -> tuple[PipeStream, PipeStream]:
    """As popen2 with the error output in the output: returns (stdin, stdout_and_stderr)."""
    stdin, both = _streams(cmd, mode, bufsize, "stdout")
    return stdin, both
