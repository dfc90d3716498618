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

_shutil_rmtree: Any = shutil.rmtree
_AT_FDCWD = -100 if sys.platform == "linux" else -2
_WARNS_OF_ONERROR = sys.version_info >= (3, 12)


def rmtree(
    path: "str | bytes | os.PathLike[str] | os.PathLike[bytes]",
    ignore_errors: bool = False,
    onerror: Callable[..., object] | None = None,
    *,
    dir_fd: int | None = None,
    **callbacks: Callable[..., object] | None,
) -> None:
    """Removes a directory tree, as `shutil.rmtree` does and with its signature (`onexc=` from Python 3.12 on).

    The core removes the tree, in steps of 4,096 entries between which signals are handled. If an entry resists, the
    rest is handed to `shutil.rmtree`, so that errors, callbacks and exceptions are exactly its own.

    Args:
        path: the directory; a symbolic link is an error.
        ignore_errors: leave behind what cannot be removed.
        onerror: called as `onerror(function, path, exc_info)` for what cannot be removed.
        dir_fd: an open directory that a relative path starts from.
        callbacks: `onexc`, where the running `shutil.rmtree` has it.

    Raises:
        OSError: of the first entry that could not be removed, unless a callback or `ignore_errors` takes it.

    Safe against symbolic links swapped in while it runs (`rmtree.avoids_symlink_attacks`): directories are opened
    with O_NOFOLLOW, relative to their open parent (openat(2), unlinkat(2)). Trees of any depth. One audit event,
    `shutil.rmtree`, not one for each entry; a second one if `shutil.rmtree` has to take over.
    """
    if onerror is not None and _WARNS_OF_ONERROR:
        callbacks["onerror"] = onerror
    elif _removed(path, dir_fd):
        return
    elif onerror is not None:
        callbacks["onerror"] = onerror
    _shutil_rmtree(path, ignore_errors, dir_fd=dir_fd, **callbacks)


def _removed(path: Any, dir_fd: int | None) -> bool:
    """Whether the core removed all of it; False leaves whatever is wrong for shutil to say."""
    if (
        not _backend.COMPILED
        or not isinstance(path, (str, bytes, os.PathLike))
        or type(dir_fd) not in (int, type(None))
    ):
        return False
    encoded = os.fsencode(path)
    if not encoded or b"\0" in encoded:
        return False
    sys.audit("shutil.rmtree", path, dir_fd)
    return backend.remove(encoded, _AT_FDCWD if dir_fd is None else dir_fd)


rmtree.avoids_symlink_attacks = shutil.rmtree.avoids_symlink_attacks  # type: ignore[attr-defined]
