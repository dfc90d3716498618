"""Where a service's output goes: its options `log` and `error_log`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastos.supervise.check import positive

LogLine = Callable[[str, bytes], object]
"""What a log goes to when it is a callable: it gets the service's name and one line without its end."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where a service's output goes.

    Parameters:
        to: `inherit`: the supervisor's own descriptor, untouched. `own`: the supervisor's output, each line with the
            name. `file`: `path`, rotated. `null`: nowhere. `syslog`: /dev/log. `journald`: systemd's journal.
            A callable gets (name, line) in the supervisor's thread.
        path: `{name}` stands for the name of the instance. Its directory must exist.
        max_bytes: rotate before the file grows beyond (0: never).
        max_age: rotate when it is older, in seconds (0: never).
        keep: how many rotated files stay (0: all). compress: gzip them.
        timestamps: digits after the second of the time put before each line: 3 or 6; 0: no time.
        mode: permission bits of the file.
    """

    to: Literal["inherit", "own", "file", "null", "syslog", "journald"] | LogLine = "inherit"
    path: str = ""
    max_bytes: int = 10 << 20
    max_age: float = 0.0
    keep: int = 10
    compress: bool = True
    timestamps: int = 3
    mode: int = 0o640

    def __post_init__(self) -> None:
        if not callable(self.to) and self.to not in ("inherit", "own", "file", "null", "syslog", "journald"):
            raise ValueError(
                "log.to must be inherit, own, file, null, syslog, journald or a callable "
                f"(and a path in short must have a slash), not {self.to!r}"
            )
        if (self.to == "file") != bool(self.path):
            raise ValueError("log.path goes with log.to = 'file', and only with that")
        if self.timestamps not in (0, 3, 6):
            raise ValueError(f"log.timestamps must be 0, 3 or 6, not {self.timestamps!r}")
        positive("log.max_bytes", self.max_bytes, zero=True)
        positive("log.max_age", self.max_age, zero=True)
        positive("log.keep", self.keep, zero=True)


def as_log(value: object) -> Log:
    """A Log from its short form: one of its words, a path with a slash in it, or a callable."""
    if isinstance(value, Log):
        return value
    if isinstance(value, os.PathLike) or (isinstance(value, str) and "/" in value):
        return Log("file", path=os.fspath(value))
    return Log(value)  # type: ignore[arg-type]
