"""Process ids, process groups and sessions from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "getpid", "getppid", "getpgrp", "getpgid", "setpgid", "setpgrp", "getsid", "setsid")
borrow(globals(), "tcgetpgrp", "tcsetpgrp", "ctermid")
