"""Removing a tree by the standard library: `shutil` does all of it."""


def remove(path: bytes, dir_fd: int) -> bool:
    """Removes nothing, and says so: the caller then asks `shutil.rmtree`."""
    return False
