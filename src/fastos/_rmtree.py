"""`rmtree`: shutil.rmtree, by the core."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastos import _backend

if TYPE_CHECKING:
    from fastos._backend import native_rmtree as backend
else:
    backend = _backend.topic("rmtree")

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Callback = Callable[..., object] | None

_shutil_rmtree: Any = shutil.rmtree
_AT_FDCWD = -100 if sys.platform == "linux" else -2


def _parts() -> tuple[Any, ...]:
    """What shutil.rmtree does its work with. A test that replaces one of them wants to see it called."""
    found = shutil.os  # type: ignore[attr-defined]
    return (
        found.scandir, found.open, found.close, found.stat, found.lstat, found.unlink, found.rmdir,
        getattr(shutil, "_rmtree_safe_fd", None),
    )  # fmt: skip


_PARTS = _parts()

if sys.version_info >= (3, 12):

    def rmtree(
        path: Path,
        ignore_errors: bool = False,
        onerror: Callback = None,
        *,
        onexc: Callback = None,
        dir_fd: int | None = None,
    ) -> None:
        if not _removed(path, dir_fd):
            _shutil_rmtree(path, ignore_errors, onerror, onexc=onexc, dir_fd=dir_fd)

else:

    def rmtree(path: Path, ignore_errors: bool = False, onerror: Callback = None, *, dir_fd: int | None = None) -> None:
        if not _removed(path, dir_fd):
            _shutil_rmtree(path, ignore_errors, onerror, dir_fd=dir_fd)


rmtree.__doc__ = """Removes a directory tree, as `shutil.rmtree` does and with its signature.

    The core removes the tree, in steps of 4,096 entries between which signals are handled. If an entry resists, the
    rest is handed to `shutil.rmtree`, so that errors, callbacks and exceptions are exactly its own.

    Args:
        path: the directory; a symbolic link is an error.
        ignore_errors: leave behind what cannot be removed.
        onerror: called as `onerror(function, path, exc_info)` for what cannot be removed.
        onexc: called as `onexc(function, path, exception)` instead, from Python 3.12 on.
        dir_fd: an open directory that a relative path starts from.

    Raises:
        OSError: of the first entry that could not be removed, unless a callback or `ignore_errors` takes it.

    Safe against symbolic links swapped in while it runs (`rmtree.avoids_symlink_attacks`): directories are opened
    with O_NOFOLLOW, relative to their open parent (openat(2), unlinkat(2)). Trees of any depth. One audit event,
    `shutil.rmtree`, not one for each entry; a second one if `shutil.rmtree` has to take over.
    """


def _removed(path: Any, dir_fd: int | None) -> bool:
    """Whether the core removed all of it; False leaves whatever is wrong for shutil to say."""
    if (
        not _backend.COMPILED
        or _parts() != _PARTS
        or not isinstance(path, (str, bytes, os.PathLike))
        or type(dir_fd) not in (int, type(None))
    ):
        return False
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return False
    if not encoded or b"\0" in encoded:
        return False
    sys.audit("shutil.rmtree", path, dir_fd)
    return backend.remove(encoded, _AT_FDCWD if dir_fd is None else dir_fd)


rmtree.avoids_symlink_attacks = shutil.rmtree.avoids_symlink_attacks  # type: ignore[attr-defined]
