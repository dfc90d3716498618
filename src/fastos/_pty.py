"""Pseudo-terminals: what `fastos.PTY` asks for, and the parent's side of one."""

import errno
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class PTY:
    """Asks `spawn` for a pseudo-terminal as stdin, stdout or stderr; all that ask share one.

    It becomes the child's controlling terminal, in a session of its own; `Process.pty` is the parent's side.

    Args:
        rows: the height of the window, in characters.
        columns: its width.

    The class itself, `fastos.PTY`, stands for a window of 24 by 80. See pty(7), ioctl_tty(2).
    """

    __slots__ = ("columns", "rows")

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        for what, value in (("rows", rows), ("columns", columns)):
            if not 0 <= value < 65536:
                raise ValueError(f"{what} must be between 0 and 65535, not {value}")
        self.rows = rows
        self.columns = columns

    def __repr__(self) -> str:
        return f"PTY(rows={self.rows}, columns={self.columns})"


class PtyFile(io.FileIO):
    """The parent's side of a pseudo-terminal: unbuffered, and at its end once no process has the other side open.

    (The kernel says EIO then; a file says end of file.)
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "r+")

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        try:
            return super().read(size)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def readall(self) -> bytes:
        parts = []
        while part := self.read(65536):
            parts.append(part)
        return b"".join(parts)

    def resize(self, rows: int, columns: int) -> None:
        """Gives the window another size; the foreground process group gets SIGWINCH."""
        import termios

        termios.tcsetwinsize(self.fileno(), (rows, columns))
