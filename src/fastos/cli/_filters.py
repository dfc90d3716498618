"""What the words of a command line mean: sizes, times, types, and the predicate they make."""

import argparse
import os
import re
import time
from datetime import datetime
from typing import Any, Final

from fastos._field import field
from fastos._predicate import And, Or, Predicate
from fastos._timeout import nanoseconds

TYPES: Final = {
    "f": "file",
    "d": "directory",
    "l": "symlink",
    "p": "fifo",
    "s": "socket",
    "c": "char",
    "b": "block",
}
_UNITS: Final = {"": 0, "c": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31557600}


def size(text: str) -> Predicate:
    """`+1M` above a MiB, `-10k` below ten KiB, `512` exactly."""
    match = re.fullmatch(r"([+-]?)(\d+)([cktgpm]?)(?:i?b)?", text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write +1M, -10k or 512")
    sign, number, unit = match.groups()
    count = int(number) << 10 * _UNITS[unit.lower()]
    return field.size > count if sign == "+" else field.size < count if sign == "-" else field.size == count


def moment(text: str) -> int:
    """A moment in nanoseconds: a time ago (`2d`, `90min`), a date (`2024-01-31T12:00`), or a file's mtime."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h|d|w|y)", text):
        return time.time_ns() - nanoseconds(float(match[1]) * _SECONDS[match[2]])
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000
    except (ValueError, OverflowError):
        pass
    try:
        return os.stat(text).st_mtime_ns
    except OSError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time ago (2d, 90min), nor a date (2024-01-31), nor an existing file"
        ) from None


def types(text: str) -> list[str]:
    """`f,d` or `file,directory`."""
    found = []
    for each in text.split(","):
        if each not in TYPES and each not in TYPES.values():
            raise argparse.ArgumentTypeError(f"{each!r} is no type; there are {', '.join(TYPES)}")
        found.append(TYPES.get(each, each))
    return found


def suffix(text: str) -> str:
    """`py` or `.py`."""
    return text if text.startswith(".") else f".{text}"


def user(text: str) -> int:
    """A user's name or number."""
    import pwd

    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None


def group(text: str) -> int:
    """A group's name or number."""
    import grp

    try:
        return int(text) if text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise argparse.ArgumentTypeError(f"there is no group {text!r}") from None


def _any(predicates: list[Predicate]) -> list[Predicate]:
    return [Or(tuple(predicates))] if len(predicates) > 1 else predicates


def _texts(options: argparse.Namespace) -> list[Predicate]:
    found: list[Predicate] = []
    found += _any([field.name.glob(each) for each in options.name])
    found += _any([field.name.glob(each, ignore_case=True) for each in options.iname])
    found += _any([field.path.glob(each) for each in options.path])
    found += _any([field.name.regex(each) for each in options.regex])
    if options.suffix:
        found.append(field.suffix.isin(options.suffix))
    return found


def where(options: argparse.Namespace) -> Predicate | None:
    """What is to be listed. Options of one kind are alternatives, different kinds have to hold together."""
    found = _texts(options)
    if options.type:
        found.append(field.type.isin([each for several in options.type for each in several]))
    found += options.size
    if options.newer is not None:
        found.append(field.mtime_ns > options.newer)
    if options.older is not None:
        found.append(field.mtime_ns < options.older)
    if options.user is not None:
        found.append(field.uid == options.user)
    if options.group is not None:
        found.append(field.gid == options.group)
    if options.no_hidden:
        found.append(~field.name.startswith("."))
    return found[0] if len(found) == 1 else And(tuple(found)) if found else None


def prune(options: argparse.Namespace) -> Predicate | None:
    """Which directories not to enter."""
    found: list[Predicate] = [field.path.glob(each) if "/" in each else field.name.glob(each) for each in options.prune]
    if options.no_hidden:
        found.append(field.name.startswith("."))
    return _any(found)[0] if found else None


def ignore(options: argparse.Namespace) -> Any:
    """What to leave out."""
    if not options.exclude and not options.ignore_git:
        return None
    from fastos._ignore import Ignore

    return Ignore(options.exclude, git=options.ignore_git)
