"""Symbolic and hard links from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "symlink", "link", "readlink")
