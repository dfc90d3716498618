"""access, chmod, chown and umask from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "access", "chmod", "fchmod", "chown", "umask")
