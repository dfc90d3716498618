"""access, chmod, chown and umask, from the compiled core."""

from sys import audit

from fastos._backend.native import lib
from fastos._backend.native_path import (
    FileDescriptorOrPath,
    StrOrBytesPath,
    audited,
    descriptor,
    directory,
    encode,
    fail,
    identity,
    is_descriptor,
)

_EFFECTIVE, _NOFOLLOW = lib.FO_PERMISSION_EFFECTIVE, lib.FO_PERMISSION_NOFOLLOW
_MODE = 0xFFFFFFFF


def access(
    path: StrOrBytesPath,
    mode: int,
    *,
    dir_fd: int | None = None,
    effective_ids: bool = False,
    follow_symlinks: bool = True,
) -> bool:
    flags = (_EFFECTIVE if effective_ids else 0) | (0 if follow_symlinks else _NOFOLLOW)
    return lib.fo_permission_access(directory(dir_fd), encode(path, "access"), mode, flags) == 0


def chmod(path: FileDescriptorOrPath, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
    below, by_descriptor = directory(dir_fd), is_descriptor(path)
    raw = b"" if by_descriptor else encode(path, "chmod")  # type: ignore[arg-type]
    audit("os.chmod", path, mode, audited(dir_fd))
    if by_descriptor:
        result = lib.fo_permission_fchmod(descriptor(path), mode & _MODE)  # type: ignore[arg-type]
    else:
        result = lib.fo_permission_chmod(below, raw, mode & _MODE, 0 if follow_symlinks else _NOFOLLOW)
    if result < 0:
        fail(result, path)


def fchmod(fd: int, mode: int) -> None:
    audit("os.chmod", fd, mode, -1)
    if (result := lib.fo_permission_fchmod(fd, mode & _MODE)) < 0:
        fail(result)


def chown(
    path: FileDescriptorOrPath, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    below, by_descriptor = directory(dir_fd), is_descriptor(path)
    user, group = identity(uid, "uid"), identity(gid, "gid")
    _refuse_mixing("chown", by_descriptor, dir_fd, follow_symlinks)
    raw = b"" if by_descriptor else encode(path, "chown")  # type: ignore[arg-type]
    audit("os.chown", path, user, group, audited(dir_fd))
    if by_descriptor:
        result = lib.fo_permission_fchown(descriptor(path), user, group)  # type: ignore[arg-type]
    else:
        result = lib.fo_permission_chown(below, raw, user, group, 0 if follow_symlinks else _NOFOLLOW)
    if result < 0:
        fail(result, path)


def _refuse_mixing(function: str, by_descriptor: bool, dir_fd: int | None, follow_symlinks: bool) -> None:
    if by_descriptor and dir_fd is not None:
        raise ValueError(f"{function}: can't specify dir_fd without matching path")
    if by_descriptor and not follow_symlinks:
        raise ValueError(f"{function}: cannot use fd and follow_symlinks together")


def umask(mask: int, /) -> int:
    return lib.fo_permission_umask(mask)
