"""The process owner: who the process is, giving up privileges for good, acting as somebody else for a while.

    from fastos import owner

    owner.current()                         # ids, groups and login
    owner.drop_privileges("www-data")       # for good, verified
    with owner.acting_as("backup"):         # effective ids and groups, restored on any exit
        ...

The ids belong to the process, not to a thread: a change is seen by every thread at once (credentials(7), nptl(7)).
To run *another program* as somebody else, `fastos.spawn(..., user=...)` changes nothing in this process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastos import _backend

if TYPE_CHECKING:
    from fastos._backend import native_owner as backend
else:
    backend = _backend.topic("owner")

__all__ = ["Owner", "acting_as", "current", "drop_privileges"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who the process is at one moment.

    `login` is the name that the session was logged in with (getlogin(3)), or None where there was no login: it says
    who started the work, not who the process is now.
    """

    real_uid: int
    effective_uid: int
    saved_uid: int
    real_gid: int
    effective_gid: int
    saved_gid: int
    groups: tuple[int, ...]
    login: str | None

    @property
    def is_root(self) -> bool:
        """Whether the effective user is root."""
        return self.effective_uid == 0


def current() -> Owner:
    """Who the process is: all ids, the supplementary groups and the login name, in one call of the core.

    Raises NotImplementedError where the platform has no user ids (Windows).
    See getresuid(2), getgroups(2), getlogin(3).
    """
    uids, gids, groups, login = backend.current()
    return Owner(*uids, *gids, tuple(groups), login)


def drop_privileges(user: str | int, group: str | int | None = None, groups: Sequence[str | int] | None = None) -> None:
    """Becomes `user` for good: supplementary groups, the three group ids, the three user ids, in that order.

    Then it checks that all ids and groups are what was asked for and that no call gives root back.

    user    a name or a numeric id; root itself is refused, for that would drop nothing.
    group   a name or a numeric id; None: the user's own group from the password database.
    groups  names or ids, exactly these; `()` is none. None: the user's groups from the group database, and `group`.

    Raises ValueError for an unknown user or group (before anything is changed), PermissionError with the step that
    failed. After a PermissionError the process may have lost some privileges and not others: it must not go on with
    what it meant to do as `user`. NotImplementedError where the platform has no user ids (Windows).

    Not promised: descriptors that are already open keep their access; the environment (HOME, USER) is not touched.
    See credentials(7), setresuid(2), setgroups(2).
    """
    uid, gid, ids = _target(user, group, groups)
    if uid == 0:
        raise ValueError("drop_privileges: the user is root, so no privilege would be dropped")
    _need_root("drop_privileges", "groups and ids")
    backend.drop(uid, gid, ids)


@contextmanager
def acting_as(user: str | int, group: str | int | None = None) -> Iterator[Owner]:
    """A block in which effective ids and supplementary groups are those of `user`; they come back on any exit.

    user   a name or a numeric id.
    group  a name or a numeric id; None: the user's own group from the password database.

    Gives the Owner that the process is inside the block. The real and saved ids stay, so code in the block that wants
    root back can have it: it guards against mistakes, not hostile code (for that, `drop_privileges` in a child).

    The ids belong to the whole process: **every thread acts as that user until the block ends**, and two threads must
    not be in such blocks at once.

    Raises ValueError for an unknown user or group, PermissionError when the process is not root (the message says
    which user it is), or with the step that failed; then nothing has changed. If the way back fails, for the block took
    the means away (`drop_privileges` in it), PermissionError is raised at its end.
    See seteuid(2), setgroups(2).
    """
    uid, gid, ids = _target(user, group, None)
    _need_root("acting_as", "effective ids and groups")
    before_uid, before_gid, before_groups = os.geteuid(), os.getegid(), os.getgroups()
    changed = True  # an interrupt may come just behind the change
    try:
        try:
            backend.act(uid, gid, ids)
        except OSError:
            changed = False
            raise
        yield current()
    finally:
        if changed:
            backend.restore(before_uid, before_gid, before_groups)


def _need_root(function: str, what: str) -> None:
    if not hasattr(os, "geteuid"):
        raise NotImplementedError(f"{function} needs user ids, which this platform ({os.name}) does not have")
    if (uid := os.geteuid()) != 0:
        import errno

        real = os.getuid()
        hint = " (root is its real user: leave acting_as first)" if real == 0 else ""
        raise PermissionError(
            errno.EPERM, f"{function}: only root can change {what}, and the effective user is {uid}{hint}"
        )


def _target(user: str | int, group: str | int | None, groups: Sequence[str | int] | None) -> tuple[int, int, list[int]]:
    """The ids that stand for the arguments; nothing is changed yet."""
    try:
        import pwd
    except ImportError as error:
        raise NotImplementedError(f"user ids are not there on this platform ({os.name})") from error
    if isinstance(user, bool) or not isinstance(user, (str, int)):
        raise TypeError(f"user should be a name or an id, not {type(user).__name__}")
    try:
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
    except (KeyError, OverflowError) as error:
        if isinstance(user, str):
            raise ValueError(f"no user is named {user!r}") from error
        if group is None:
            raise ValueError(f"no user has the id {user}, so its group is not known: say group=") from error
        entry = None
    uid = entry.pw_uid if entry is not None else _checked(user)
    gid = entry.pw_gid if entry is not None and group is None else _group_id(group)
    if groups is not None:
        return uid, gid, [_group_id(one) for one in groups]
    return uid, gid, os.getgrouplist(entry.pw_name, gid) if entry is not None else [gid]


def _group_id(group: str | int | None) -> int:
    import grp

    if isinstance(group, str):
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError as error:
            raise ValueError(f"no group is named {group!r}") from error
    return _checked(group)


def _checked(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"an id should be an integer or a name, not {type(number).__name__}")
    # The largest value means "leave it as it is" to the kernel: it is nobody's id.
    if not 0 <= number < 0xFFFFFFFF:
        raise ValueError(f"{number} is no user or group id")
    return number
