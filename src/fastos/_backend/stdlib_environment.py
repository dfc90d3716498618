"""Environment variables from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "putenv", "unsetenv")
