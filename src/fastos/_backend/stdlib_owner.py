"""User and group ids from the standard library."""

import os
from collections.abc import Callable, Sequence

from fastos._backend.standard import borrow

borrow(globals(), "getuid", "geteuid", "getgid", "getegid", "setuid", "seteuid", "setgid", "setegid")
borrow(globals(), "setreuid", "setregid", "setresuid", "setresgid", "getresuid", "getresgid")
borrow(globals(), "getgroups", "setgroups", "initgroups", "getgrouplist", "getlogin")

Owner = tuple[tuple[int, int, int], tuple[int, int, int], list[int], str | None]


def _require(what: str) -> None:
    if not hasattr(os, "setresuid"):
        raise NotImplementedError(f"{what} needs os.setresuid, which this platform ({os.name}) does not have")


def current() -> Owner:
    """User ids, group ids (real, effective, saved), groups and login."""
    _require("owner.current()")
    try:
        login = os.getlogin()
    except OSError:
        login = None
    return os.getresuid(), os.getresgid(), os.getgroups(), login


def _steps(what: str, *steps: tuple[str, Callable[[], object]]) -> None:
    for name, step in steps:
        try:
            step()
        except OSError as error:
            raise OSError(error.errno, f"{what}: {name}: {error.strerror}") from error


def drop(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Groups, group ids and user ids for good, verified."""
    _require("drop_privileges")
    _steps(
        "drop_privileges",
        ("setgroups", lambda: os.setgroups(groups)),
        ("setting the group id", lambda: os.setresgid(gid, gid, gid)),
        ("setting the user id", lambda: os.setresuid(uid, uid, uid)),
        ("verifying the ids", lambda: _demand(os.getresuid() == (uid,) * 3 and os.getresgid() == (gid,) * 3)),
        ("verifying the groups", lambda: _demand(set(os.getgroups()) == set(groups))),
        ("verifying that root cannot be regained", lambda: _demand(not _root_regained(uid, gid))),
    )


def _demand(condition: bool) -> None:
    if not condition:
        import errno

        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _works(function: Callable[..., object], *arguments: int) -> bool:
    try:
        function(*arguments)
    except OSError:
        return False
    return True


def _root_regained(uid: int, gid: int) -> bool:
    if uid and (_works(os.setuid, 0) or _works(os.seteuid, 0) or _works(os.setreuid, 0, -1)):
        return True
    return bool(uid and gid and (_works(os.setgid, 0) or _works(os.setegid, 0)))


def act(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Groups and effective ids; on an error, what was done is undone."""
    _require("acting_as")
    old_gid, old_groups = os.getegid(), os.getgroups()
    _steps("acting_as", ("setgroups", lambda: os.setgroups(groups)))
    try:
        _steps(
            "acting_as",
            ("setting the group id", lambda: os.setegid(gid)),
            ("setting the user id", lambda: os.seteuid(uid)),
        )
    except OSError:
        os.setegid(old_gid)
        os.setgroups(old_groups)
        raise


def restore(uid: int, gid: int, groups: Sequence[int]) -> None:
    """The way back from `act`."""
    _steps(
        "acting_as: going back",
        ("setting the user id", lambda: os.seteuid(uid)),
        ("setting the group id", lambda: os.setegid(gid)),
        ("setgroups", lambda: os.setgroups(groups)),
    )
