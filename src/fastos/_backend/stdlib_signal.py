"""kill and killpg from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "kill", "killpg")
