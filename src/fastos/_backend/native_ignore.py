"""The native ignore context of a scan's root."""

import errno
import os
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._errors import check
from fastos._ignore import Ignore, git_files


def real_path(root: bytes, dir_fd: int | None) -> bytes | None:
    """The absolute path of a scan's root without symbolic links; None where the descriptor does not tell."""
    if dir_fd is None or root.startswith(b"/"):
        return os.path.realpath(root)
    try:
        return os.path.realpath(os.path.join(os.readlink(b"/proc/self/fd/%d" % dir_fd), root))
    except OSError:
        return None


def root_context(ignore: Ignore, root: bytes | None) -> Any:
    """As new_context, released with the object."""
    return ffi.gc(new_context(ignore, root), lib.fo_ignore_release)


def new_context(ignore: Ignore, root: bytes | None) -> Any:
    """A `struct fo_ignore *` for the root; the caller releases it.

    Arguments:
        root: the root's absolute path, symbolic links resolved; None where it is not known (then no repository is
            looked for above it).

    Raises OSError for what git keeps and cannot be read; NotImplementedError for an index in a format not known here.
    """
    files = git_files()
    texts = {
        "patterns": ignore.lines or None,
        "root": root,
        "home": files.home,
        "system_config": files.system_config,
        "user_config_xdg": files.user_config_xdg,
        "user_config": files.user_config,
        "default_excludes": files.default_excludes,
    }
    kept = {key: ffi.new("char[]", text) for key, text in texts.items() if text is not None}
    request = ffi.new("struct fo_ignore_request *", {"git": ignore.git, "ignore_case": ignore.ignore_case, **kept})
    out = ffi.new("struct fo_ignore **")
    result = lib.fo_ignore_new(request, out)
    if result == -errno.ENOTSUP:
        raise NotImplementedError(
            "the git index is split or of an unknown version; `git update-index --no-split-index` makes it whole"
        )
    check(result, root)
    return out[0]
