"""Metadata on the standard library: os.stat, and the birth time where it tells one."""

import errno
import os
import stat as mode_bits
from collections.abc import Sequence
from typing import Any, Literal

_TYPES = {
    mode_bits.S_IFREG: 1,
    mode_bits.S_IFDIR: 2,
    mode_bits.S_IFLNK: 3,
    mode_bits.S_IFIFO: 4,
    mode_bits.S_IFSOCK: 5,
    mode_bits.S_IFCHR: 6,
    mode_bits.S_IFBLK: 7,
}
_CODES: dict[str, Literal["B", "q", "Q", "I"]] = {"b": "B", "q": "q", "Q": "Q", "I": "I"}


def stat(path: bytes | int, follow_symlinks: bool, dir_fd: int | None) -> tuple[tuple[Any, ...], int] | None:
    """Nothing: os.stat itself has to be asked, which says all that there is to be known here."""
    return None


def birth_time(status: os.stat_result) -> int:
    exact = getattr(status, "st_birthtime_ns", None)
    seconds = getattr(status, "st_birthtime", None)
    return exact if exact is not None else -1 if seconds is None else int(seconds * 1e9)


def _value(status: os.stat_result, name: str) -> int:
    if name == "type":
        return _TYPES.get(mode_bits.S_IFMT(status.st_mode), 0)
    if name == "btime_ns":
        return birth_time(status)
    value: int = getattr(status, f"st_{name}", 0)
    return value


def stat_many(
    paths: Sequence[bytes], formats: dict[str, str], follow_symlinks: bool, dir_fd: int | None, threads: int
) -> tuple[dict[str, memoryview], list[tuple[int, int]]]:
    """The columns by name, and (index, errno) of each path that failed."""
    columns = {
        name: memoryview(bytearray(len(paths) * {"b": 1, "I": 4}.get(code, 8))).cast(_CODES[code])
        for name, code in formats.items()
    }
    errors = []
    for index, path in enumerate(paths):
        try:
            status = os.stat(path, follow_symlinks=follow_symlinks, dir_fd=dir_fd)
        except (OSError, ValueError) as error:
            errors.append((index, getattr(error, "errno", None) or errno.EINVAL))
            if "btime_ns" in columns:
                columns["btime_ns"][index] = -1
            continue
        for name, column in columns.items():
            column[index] = _value(status, name)
    return columns, errors
