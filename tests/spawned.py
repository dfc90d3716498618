"""Short ways to start something and see what it saw."""

import itertools
import sys
from typing import Any

import fastos

SH = "/bin/sh"

# Every combination of the standard streams, to be closed.
CLOSED = [closed for count in (1, 2, 3) for closed in itertools.combinations((0, 1, 2), count)]

# For a bare interpreter: writes the descriptors below 100 that are open to the file that it is given.
REPORT_OPEN = """
import fcntl, sys
def is_open(fd):
    try: return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError: return False
found = [fd for fd in range(100) if is_open(fd)]
open(sys.argv[1], 'w').write(repr(found))
"""


def output(args: Any, **options: Any) -> str:
    """What a program that succeeds writes to its standard output."""
    with fastos.spawn(args, stdout=fastos.PIPE, **options) as process:
        assert process.stdout is not None
        text = process.stdout.read().decode()
    assert process.wait() == fastos.ExitStatus(0), text
    return text


def shell(script: str, **options: Any) -> str:
    """The same for a shell script."""
    return output([SH, "-c", script], **options).strip()


def python(code: str, **options: Any) -> str:
    """The same for Python code."""
    return output([sys.executable, "-I", "-S", "-c", code], **options).strip()
