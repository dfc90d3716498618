"""The options of a spawn, resolved in the parent: names to ids, strings to bytes, everything checked before any work.

What a child needs is found here, since in the child nothing may be looked up.
"""

import operator
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, SupportsIndex, TypeAlias

from fastos._pty import PTY


class HasFileno(Protocol):
    def fileno(self) -> int: ...


Argument: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Arguments: TypeAlias = Sequence[Argument]
Stream: TypeAlias = int | HasFileno | PTY | type[PTY] | None
Environment: TypeAlias = Mapping[str, str] | Mapping[bytes, bytes] | Mapping[Argument, Argument]
Descriptors: TypeAlias = Mapping[int, int | HasFileno] | Iterable[int]
Limits: TypeAlias = Mapping[int | str, int | tuple[int, int]]

# As subprocess has them, so either's constants can be passed.
PIPE = -1
STDOUT = -2
DEVNULL = -3

# What comes of arguments and options that are none of what is taken, from here and from the making of a request.
UNUSUAL = (TypeError, ValueError, AttributeError, OverflowError)

_EMBEDDED = "embedded null byte"
# What os.fsencode does with a str, without the calls.
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def encode_arguments(args: Arguments) -> tuple[bytes, int]:
    """argv as one block of NUL-terminated strings, and their number."""
    if type(args) is not list and isinstance(args, str | bytes | os.PathLike):
        raise TypeError(f"args must be a sequence of strings, such as [{args!r}]; fastos.spawn runs no shell")
    try:
        block = "\0".join(args).encode(_ENCODING, _ERRORS) + b"\0"  # type: ignore[arg-type]  # not all str: see below
        count = len(args)
    except TypeError:
        encoded = [os.fsencode(argument) for argument in args]
        block = b"".join([argument + b"\0" for argument in encoded])
        count = len(encoded)
    if count == 0:
        raise ValueError("args is empty: the first is the program")
    if block.count(b"\0") != count:
        raise ValueError(_EMBEDDED)
    return block, count


def first_argument(block: bytes) -> bytes:
    return block[: block.index(b"\0")]


def _encode_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    lines = []
    for name, value in pairs:
        if not name or b"=" in name:
            raise ValueError(f"illegal environment variable name {name!r}")
        lines.append(name + b"=" + value + b"\0")
    block = b"".join(lines) or b"\0"  # an empty block is still a block
    if block.count(b"\0") != max(len(lines), 1):
        raise ValueError(_EMBEDDED)
    return block, len(lines)


class EncodedEnvironment(dict[str, str]):
    """An environment that many requests share: it is encoded once, and not changed after that."""

    __slots__ = ("encoded",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.encoded = encode_environment(variables)


def encode_environment(env: Environment) -> tuple[bytes, int]:
    """env as one block of NAME=value strings, and their number."""
    if isinstance(env, EncodedEnvironment):
        return env.encoded
    return _encode_pairs([(os.fsencode(name), os.fsencode(value)) for name, value in env.items()])


@lru_cache(maxsize=512)
def _candidates(name: bytes, path: bytes) -> tuple[bytes, int]:
    paths = [os.path.join(directory, name) for directory in path.split(os.fsencode(os.pathsep))]
    return b"".join([candidate + b"\0" for candidate in paths]), len(paths)


def candidates(name: bytes, env: Environment | None) -> tuple[bytes, int]:
    """The paths to execute in order, for a program's name: it alone if it has a slash, else one a directory of PATH.

    PATH is that of the child's environment. This is a function of the names alone: what exists is seen at the spawn.
    """
    if b"/" in name or not name:
        return name + b"\0", 1
    path: Any
    if env is None:
        path = os.environ.get("PATH")
    else:
        variables: Mapping[Any, Any] = env
        path = variables.get("PATH")
        if path is None:
            path = variables.get(b"PATH")
    if path is None:
        path = os.defpath
    return _candidates(name, os.fsencode(path))


def descriptor(value: "int | HasFileno", what: str) -> int:
    """The number of a descriptor given as one or as a file."""
    if not isinstance(value, int) and not hasattr(value, "fileno"):
        raise TypeError(f"{what}: {value!r} is neither a descriptor nor a file")
    number = value if isinstance(value, int) else value.fileno()
    if isinstance(value, bool) or number < 0:
        raise ValueError(f"{what}: {value!r} is not a descriptor")
    return number


def descriptors(fds: Descriptors, taken: set[int]) -> list[tuple[int, int]]:
    """(parent's descriptor, child's descriptor) in order of the latter; `taken` are the streams that are set."""
    if isinstance(fds, Mapping):
        pairs = [(descriptor(source, "fds"), descriptor(target, "fds")) for target, source in fds.items()]
    else:
        pairs = [(number, number) for number in {descriptor(fd, "fds") for fd in fds}]
    for _, target in pairs:
        if target in taken:
            raise ValueError(f"fds: {target} is set by stdin, stdout or stderr as well")
    return sorted(pairs, key=lambda pair: pair[1])


def user_id(user: "str | int") -> int:
    if isinstance(user, str):
        import pwd

        try:
            return pwd.getpwnam(user).pw_uid
        except KeyError:
            raise ValueError(f"user {user!r} is not known") from None
    return _id(user, "user")


def group_id(group: "str | int") -> int:
    if isinstance(group, str):
        import grp

        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            raise ValueError(f"group {group!r} is not known") from None
    return _id(group, "group")


def _id(value: SupportsIndex, what: str) -> int:
    number = operator.index(value)
    if not 0 <= number < 2**32 - 1:
        raise ValueError(f"{what}: {number} is not an id")
    return number


def owner(
    user: str | int | None, group: str | int | None, groups: Iterable[str | int] | None
) -> tuple[int, int, list[int] | None]:
    """(uid, gid, groups) with -1 and None for "unchanged".

    A user without a group gets the group of its passwd entry, and without groups those that the group database lists
    for it, so that nothing of the parent's is left. A user without an entry gets no further groups.
    """
    gid = -1 if group is None else group_id(group)
    listed = None if groups is None else sorted({group_id(member) for member in groups})
    if user is None:
        return -1, gid, listed
    if isinstance(user, int) and gid >= 0 and listed is not None:
        return _id(user, "user"), gid, listed
    uid, own_gid, own_groups = _account(user, gid)
    return uid, own_gid, own_groups if listed is None else listed


# The databases of users and groups take longer than a spawn, so an answer of theirs holds for a second.
_ACCOUNT_HOLDS = 1.0
_accounts: dict[tuple[str | int, int], tuple[float, tuple[int, int, list[int]]]] = {}


def _account(user: str | int, gid: int) -> tuple[int, int, list[int]]:
    """(uid, gid, groups) of an account; gid >= 0 stands in for its own."""
    now = time.monotonic()
    known = _accounts.get((user, gid))
    if known is None or now - known[0] > _ACCOUNT_HOLDS:
        if len(_accounts) > 256:
            _accounts.clear()
        known = _accounts[user, gid] = (now, _look_up(user, gid))
    return known[1]


def _look_up(user: str | int, gid: int) -> tuple[int, int, list[int]]:
    import pwd

    uid = user_id(user)
    try:
        entry = pwd.getpwuid(uid) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        if gid < 0:
            raise ValueError(f"user {uid} has no passwd entry: say group= as well") from None
        return uid, gid, []
    gid = entry.pw_gid if gid < 0 else gid
    return uid, gid, sorted(set(os.getgrouplist(entry.pw_name, gid)))


def _limit(value: "int | tuple[int, int]") -> tuple[int, int]:
    soft, hard = (value, value) if isinstance(value, int) else value
    for number in (soft, hard):
        if not -1 <= number < 2**64:
            raise ValueError(f"rlimits: {number} is not a limit")
    return soft % 2**64, hard % 2**64  # RLIM_INFINITY is -1 here and all ones there


def limits(rlimits: Limits) -> list[tuple[int, int, int]]:
    """(resource, soft, hard) of each; resources as numbers or as names, with or without RLIMIT_."""
    import resource

    found = []
    for key, value in rlimits.items():
        number: Any = key
        if isinstance(key, str):
            name = key.upper().removeprefix("RLIMIT_")
            number = getattr(resource, f"RLIMIT_{name}", None)
            if number is None:
                raise ValueError(f"rlimits: there is no RLIMIT_{name} here")
        found.append((int(number), *_limit(value)))
    return found


@lru_cache(maxsize=1)
def _limit_names() -> dict[int, str]:
    import resource

    return {getattr(resource, name): name for name in reversed(dir(resource)) if name.startswith("RLIMIT_")}


def limit_name(number: int) -> str:
    return _limit_names().get(number, str(number))


def affinity_mask(cpus: Iterable[int]) -> bytes:
    """The kernel's mask: a bit a CPU, in machine words."""
    mask = 0
    for cpu in cpus:
        if not 0 <= cpu < 65536:
            raise ValueError(f"affinity: {cpu} is not a CPU")
        mask |= 1 << cpu
    if mask == 0:
        raise ValueError("affinity: no CPU")
    words = (mask.bit_length() + 63) // 64
    return b"".join((mask >> 64 * word & (1 << 64) - 1).to_bytes(8, sys.byteorder) for word in range(words))


def signal_bits(signals: Iterable[int]) -> int:
    bits = 0
    for number in signals:
        if not 1 <= number <= 64:
            raise ValueError(f"signal_mask: {number} is not a signal")
        bits |= 1 << (number - 1)
    return bits
