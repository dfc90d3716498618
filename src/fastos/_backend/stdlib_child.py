"""fork, and waiting for children by pid, from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "fork", "waitpid", "wait", "wait3", "wait4")
