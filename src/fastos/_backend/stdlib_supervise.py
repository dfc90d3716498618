"""What supervision asks of a backend, by the standard library alone: slower, and without what subprocess cannot do."""

import errno
import os
import select
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from fastos._backend import stdlib_spawn
from fastos._spawn_options import EncodedEnvironment
from fastos.supervise.unit import Exit

INHERIT = -1
NULL = -3
SAME_AS_STDOUT = -4

ROTATED, BLOCKED, MORE = 1, 2, 8


def timer_open() -> int:
    """There is no timerfd in the standard library: the loop uses the poller's timeout."""
    return -1


def timer_arm(fd: int, deadline_ns: int) -> None:
    """Never called without a timer."""


def prepare(words: Sequence[str], environment: EncodedEnvironment, executable: str | None, more: dict[str, Any]) -> Any:
    """A spawn prepared once, as arguments of subprocess.Popen. Raises NotImplementedError, TypeError, ValueError."""
    return stdlib_spawn.prepare(words, environment, executable, (subprocess.DEVNULL, None, None), more)


def new_result() -> Any:
    return None


def new_wait() -> Any:
    return None


def spawn(
    request: Any, streams: tuple[int, int, int], terminal: int, descriptors: Sequence[tuple[int, int]], result: Any
) -> tuple[int, int, Any]:
    """Starts what was prepared: (pid, pidfd, Popen). Raises OSError; NotImplementedError for descriptors of a chosen
    number."""
    kept = [source for source, target in descriptors if source == target]
    if len(kept) < len(descriptors):
        raise NotImplementedError("giving a child descriptors of a chosen number needs dup2 in the child")
    words = {INHERIT: None, NULL: subprocess.DEVNULL, SAME_AS_STDOUT: subprocess.STDOUT}
    stdin, stdout, stderr = (words.get(stream, stream) for stream in streams)
    keywords = {**request.keywords, "stdin": stdin, "stdout": stdout, "stderr": stderr, "pass_fds": kept}
    process = subprocess.Popen(request.args, **keywords)
    try:
        return process.pid, os.pidfd_open(process.pid), process
    except OSError:
        process.kill()
        process.wait()
        raise


def reap(pid: int, pidfd: int, process: Any, result: Any) -> Exit | None:
    """Takes a child's status; None while it runs."""
    try:
        done, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        end = Exit(lost=True)
    else:
        if done == 0:
            return None
        killed = os.WIFSIGNALED(status)
        end = Exit(
            None if killed else os.WEXITSTATUS(status),
            os.WTERMSIG(status) if killed else None,
            os.WCOREDUMP(status),
            False,
            int(usage.ru_utime * 1e6),
            int(usage.ru_stime * 1e6),
            usage.ru_maxrss,
        )
    if process is not None:
        process.returncode = end.code if end.signal is None else -end.signal
        if process.returncode is None:
            process.returncode = 0
    return end


class Scratch:
    """Nothing is shared here."""

    def close(self) -> None: ...


class Pump:
    """One log, as csrc/log.c does it: lines with times to a file that rotates, or to a shared descriptor."""

    def __init__(
        self,
        scratch: Scratch,
        source: int,
        *,
        path: str | None = None,
        destination: int = -1,
        label: str = "",
        digits: int = 0,
        max_bytes: int = 0,
        max_age: float = 0,
        mode: int = 0o640,
    ) -> None:
        self._source, self._path, self._destination = source, path, destination
        self._label, self._digits, self._mode = label, digits, mode
        self._max_bytes, self._max_age = max_bytes, max_age
        self._file = -1
        self._size = 0
        self._born = 0.0
        self._held = b""  # raw start of a line
        self._pending: list[bytes] = []  # formatted lines, not yet written
        self._text = b""
        self._rotated = ""
        self._error = 0
        self.tapped = False

    def pump(self, budget: int) -> tuple[int, int, int, str]:
        """One turn: (flags, bytes read, errno of the destination, path of a rotated file or "")."""
        self._text, self._rotated, self._error = b"", "", 0
        count = 0
        if self._write():
            try:
                data = os.read(self._source, min(budget, 65536))
            except BlockingIOError:
                data = b""
            count = len(data)
            *lines, self._held = (self._held + data).split(b"\n")
            if len(self._held) >= 65536:
                lines.append(self._held)
                self._held = b""
            self._format(lines)
            self._write()
        flags = (BLOCKED if self._pending else 0) | (ROTATED if self._rotated else 0)
        return flags, count, self._error, self._rotated

    def _format(self, lines: list[bytes]) -> None:
        if not lines:
            return
        head = b""
        if self._digits:
            seconds, nanoseconds = divmod(time.time_ns(), 10**9)
            fraction = f"{nanoseconds:09d}"[: self._digits]
            head = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction}Z ".encode()
        head += self._label.encode()
        fresh = [b"%b%b\n" % (head, line) for line in lines]
        self._pending += fresh
        if self.tapped:
            self._text += b"".join(fresh)

    def _write(self) -> bool:
        """Writes what is pending, as far as the destination takes it."""
        for done, line in enumerate(self._pending):
            try:
                rest = self._write_line(line)
            except BrokenPipeError:
                self._error, rest = errno.EPIPE, line if self._path is not None else b""
            except OSError as error:
                self._error, rest = error.errno or 0, line
            if rest:
                self._pending[: done + 1] = [rest]
                return False
        self._pending = []
        return True

    def _write_line(self, line: bytes) -> bytes:
        """Returns what was not taken."""
        if self._path is None:
            while line:
                poller = select.poll()
                poller.register(self._destination, select.POLLOUT)
                if not poller.poll(0):
                    return line
                try:
                    line = line[os.write(self._destination, line[: select.PIPE_BUF]) :]
                except BlockingIOError:
                    return line
            return b""
        self._prepare(len(line))
        written = os.write(self._file, line)
        self._size += written
        return line[written:]

    def _prepare(self, more: int) -> None:
        assert self._path is not None
        if self._file < 0:
            self._open(self._path)
        too_large = self._max_bytes and self._size + more > self._max_bytes
        too_old = self._max_age and time.time() - self._born >= self._max_age
        if self._size and (too_large or too_old):
            seconds, nanoseconds = divmod(time.time_ns(), 10**9)
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
            name = f"{self._path}.{stamp}.{nanoseconds // 1000:06d}Z"
            os.rename(self._path, name)
            self.reopen()
            self._open(self._path)
            self._rotated = name

    def _open(self, path: str) -> None:
        self._file = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK, self._mode
        )
        status = os.fstat(self._file)
        self._size, self._born = status.st_size, status.st_mtime

    def finish(self) -> int:
        """Ends an open line; returns the flags."""
        if self._held:
            self._format([self._held])
            self._held = b""
        return 0 if self._write() else BLOCKED

    def text(self) -> bytes:
        """With a tap: what the last turn formatted."""
        return self._text

    def tap(self, on: bool) -> None:
        self.tapped = on

    def pending(self) -> int:
        return sum(map(len, self._pending)) + len(self._held)

    def reopen(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def close(self) -> None:
        self.reopen()
