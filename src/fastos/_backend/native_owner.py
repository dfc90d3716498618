"""User and group ids, supplementary groups and the login name, from the compiled core.

The first four are the C functions themselves: no Python code stands between the caller and the system call.
"""

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

from fastos._backend.native import ffi, lib
from fastos._backend.native_path import encode, fail, identity

getuid: Callable[[], int] = lib.fo_owner_getuid
geteuid: Callable[[], int] = lib.fo_owner_geteuid
getgid: Callable[[], int] = lib.fo_owner_getgid
getegid: Callable[[], int] = lib.fo_owner_getegid

_LOGIN_SIZE = 256
_USUAL_GROUPS = 64
_STEPS = {
    lib.FO_OWNER_STEP_GROUPS: "setgroups",
    lib.FO_OWNER_STEP_GID: "setting the group id",
    lib.FO_OWNER_STEP_UID: "setting the user id",
    lib.FO_OWNER_STEP_VERIFY_IDS: "verifying the ids",
    lib.FO_OWNER_STEP_VERIFY_GROUPS: "verifying the groups",
    lib.FO_OWNER_STEP_VERIFY_ROOT: "verifying that root cannot be regained",
}


def setuid(uid: int, /) -> None:
    if (result := lib.fo_owner_setuid(identity(uid, "uid"))) < 0:
        fail(result)


def seteuid(euid: int, /) -> None:
    if (result := lib.fo_owner_seteuid(identity(euid, "uid"))) < 0:
        fail(result)


def setgid(gid: int, /) -> None:
    if (result := lib.fo_owner_setgid(identity(gid, "gid"))) < 0:
        fail(result)


def setegid(egid: int, /) -> None:
    if (result := lib.fo_owner_setegid(identity(egid, "gid"))) < 0:
        fail(result)


def setreuid(ruid: int, euid: int, /) -> None:
    if (result := lib.fo_owner_setreuid(identity(ruid, "uid"), identity(euid, "uid"))) < 0:
        fail(result)


def setregid(rgid: int, egid: int, /) -> None:
    if (result := lib.fo_owner_setregid(identity(rgid, "gid"), identity(egid, "gid"))) < 0:
        fail(result)


def setresuid(ruid: int, euid: int, suid: int, /) -> None:
    ids = identity(ruid, "uid"), identity(euid, "uid"), identity(suid, "uid")
    if (result := lib.fo_owner_setresuid(*ids)) < 0:
        fail(result)


def setresgid(rgid: int, egid: int, sgid: int, /) -> None:
    ids = identity(rgid, "gid"), identity(egid, "gid"), identity(sgid, "gid")
    if (result := lib.fo_owner_setresgid(*ids)) < 0:
        fail(result)


def getresuid() -> tuple[int, int, int]:
    ids = ffi.new("uint32_t[3]")
    if (result := lib.fo_owner_getresuid(ids)) < 0:
        fail(result)
    return ids[0], ids[1], ids[2]


def getresgid() -> tuple[int, int, int]:
    ids = ffi.new("uint32_t[3]")
    if (result := lib.fo_owner_getresgid(ids)) < 0:
        fail(result)
    return ids[0], ids[1], ids[2]


def getgroups() -> list[int]:
    while True:
        capacity = lib.fo_owner_getgroups(ffi.NULL, 0)
        if capacity <= 0:
            return [] if capacity == 0 else fail(capacity)
        groups = ffi.new("uint32_t[]", capacity)
        count = lib.fo_owner_getgroups(groups, capacity)
        if count >= 0:
            return ffi.unpack(groups, count)  # type: ignore[return-value]  # cffi types it as any array


def setgroups(groups: Sequence[int], /) -> None:
    if not hasattr(groups, "__getitem__") or not hasattr(groups, "__len__"):
        raise TypeError("setgroups argument must be a sequence")
    ids = _group_array(groups)
    if (result := lib.fo_owner_setgroups(ids, len(groups))) < 0:
        fail(result)


def initgroups(username: str | bytes, gid: int, /) -> None:
    if (result := lib.fo_owner_initgroups(encode(username, "initgroups", "username"), identity(gid, "gid"))) < 0:
        fail(result)


def getgrouplist(user: str, group: int, /) -> list[int]:
    name, gid = encode(user, "getgrouplist", "user"), identity(group, "gid")
    capacity, needed = _USUAL_GROUPS, ffi.new("int *")
    while True:
        groups = ffi.new("uint32_t[]", capacity)
        count = lib.fo_owner_grouplist(name, gid, groups, capacity, needed)
        if count >= 0:
            return ffi.unpack(groups, count)  # type: ignore[return-value]
        capacity = max(needed[0], 2 * capacity)


def getlogin() -> str:
    login = ffi.new("char[]", _LOGIN_SIZE)
    if (result := lib.fo_owner_getlogin(login, _LOGIN_SIZE)) < 0:
        fail(result)
    return _decode(login)


def _decode(text: object) -> str:
    import os

    return os.fsdecode(ffi.string(text))  # type: ignore[arg-type]


def _group_array(groups: Sequence[SupportsIndex]) -> object:
    return ffi.new("uint32_t[]", [identity(group, "gid") for group in groups])


Owner = tuple[tuple[int, int, int], tuple[int, int, int], list[int], str | None]


def current() -> Owner:
    """User ids, group ids (real, effective, saved), groups and login, in one call of C."""
    owner: Any = ffi.new("struct fo_owner *")
    capacity = _USUAL_GROUPS
    while True:
        groups = ffi.new("uint32_t[]", capacity)
        count = lib.fo_owner_current(owner, groups, capacity)
        if count < 0:
            fail(count)
        if count <= capacity:
            break
        capacity = count
    uid, gid = owner.uid, owner.gid
    ids = (uid[0], uid[1], uid[2]), (gid[0], gid[1], gid[2])
    return *ids, ffi.unpack(groups, count), _decode(owner.login) or None  # type: ignore[return-value]


def _change(function: Callable[..., int], what: str, uid: int, gid: int, groups: Sequence[int]) -> None:
    step = ffi.new("int *")
    result = function(uid, gid, _group_array(groups), len(groups), step)
    if result < 0:
        import os

        raise OSError(-result, f"{what}: {_STEPS[step[0]]}: {os.strerror(-result)}")


def drop(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Groups, group ids and user ids for good, verified."""
    _change(lib.fo_owner_drop, "drop_privileges", uid, gid, groups)


def act(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Groups and effective ids."""
    _change(lib.fo_owner_act, "acting_as", uid, gid, groups)


def restore(uid: int, gid: int, groups: Sequence[int]) -> None:
    """The way back from `act`."""
    _change(lib.fo_owner_restore, "acting_as: going back", uid, gid, groups)
