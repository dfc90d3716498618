"""Work done in a forked child, whose process it may spoil."""

import os
from collections.abc import Callable


def in_child(work: Callable[[], object], user: int | None = None) -> int:
    """Runs work in a forked child, as an ordinary user if asked for; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if user is not None and os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
