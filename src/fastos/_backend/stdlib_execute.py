"""The exec functions and system from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "execv", "execve", "execl", "execle", "execlp", "execlpe", "execvp", "execvpe", "system")
