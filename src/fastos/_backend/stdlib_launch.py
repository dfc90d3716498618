"""The eight spawn functions of `os`, and children with pipes for the popen family, from the standard library."""

import os
import subprocess
from collections.abc import Sequence

from fastos._backend.standard import borrow

borrow(globals(), "spawnv", "spawnve", "spawnvp", "spawnvpe", "spawnl", "spawnle", "spawnlp", "spawnlpe")


class Child:
    """A started child: its pid, and the ends of its pipes that are the caller's (-1: none)."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process, self.pid = process, process.pid
        # The descriptors are handed over: the Popen object must not close them.
        streams = process.stdin, process.stdout, process.stderr
        self.pipes = tuple(-1 if stream is None else os.dup(stream.fileno()) for stream in streams)
        for stream in streams:
            if stream is not None:
                stream.close()

    def wait(self) -> int:
        """The exit code, or -signal."""
        return self.process.wait()

    def poll(self) -> bool:
        """Whether the child has ended; if so it is reaped."""
        return self.process.poll() is not None


def start(args: "Sequence[str | bytes | os.PathLike[str]]", stdin: bool, stdout: bool, stderr: str) -> Child:
    """Starts a child with pipes where asked for; stderr is "inherit", "pipe" or "stdout"."""
    pipe = subprocess.PIPE
    return Child(
        subprocess.Popen(
            list(args),
            bufsize=0,
            stdin=pipe if stdin else None,
            stdout=pipe if stdout else None,
            stderr={"inherit": None, "pipe": pipe, "stdout": subprocess.STDOUT}[stderr],
        )
    )
