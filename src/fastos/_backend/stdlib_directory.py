"""The working directory; making, listing and removing directories and names, from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "chdir", "fchdir", "getcwdb", "getcwd", "mkdir", "rmdir", "unlink", "remove", "rename", "replace")
borrow(globals(), "listdir", "makedirs", "removedirs")
