"""Removing a tree by the compiled core."""

from fastos._backend.native import ffi, lib

# About 20 ms of work between two chances to handle a signal.
STEP_ENTRIES = 4096


def remove(path: bytes, dir_fd: int) -> bool:
    """Removes the tree at path. False: something could not be removed, and is still there with what was left."""
    out = ffi.new("struct fo_rmtree **")
    if lib.fo_rmtree_open(dir_fd, path, out) < 0:
        return False
    try:
        while (result := lib.fo_rmtree_step(out[0], STEP_ENTRIES)) > 0:
            pass
        return result == 0
    finally:
        lib.fo_rmtree_close(out[0])
