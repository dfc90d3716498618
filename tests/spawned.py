"""Short ways to start something and see what it saw."""

import sys
from typing import Any

import fastos

SH = "/bin/sh"


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
