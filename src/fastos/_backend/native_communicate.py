"""Feeding a process and reading what it writes, on the compiled core."""

import errno
from typing import Any

from fastos._backend.native import ffi, lib
from fastos._errors import check


class Communication:
    """An exchange with a process. It can go on after a timeout; the descriptors stay the caller's."""

    def __init__(self, stdin: int, stdout: int, stderr: int, data: Any) -> None:
        """stdin, stdout, stderr: the parent's ends, or -1. data: bytes-like, what to write."""
        self.fed = False
        self._input = ffi.from_buffer(data)
        talk: Any = ffi.new("struct fo_communication *")
        talk.input_fd = stdin
        talk.output_fds = [stdout, stderr]
        talk.input = self._input
        talk.input_length = len(self._input)
        self._talk: Any = ffi.gc(talk, lib.fo_communicate_free)

    def step(self, timeout_ns: int) -> bool:
        """Goes on until all is exchanged (True), the time ran out, a signal came or the input is done with (False).

        Negative timeout: for ever. `fed` says whether it was the input: its pipe is to be closed now.
        """
        result: int = lib.fo_communicate(self._talk, timeout_ns)
        self.fed = result == lib.FO_COMMUNICATE_FED
        return False if result == -errno.EINTR else check(result) == lib.FO_COMMUNICATE_DONE

    def output(self, stream: int) -> bytes:
        """What was read so far of stdout (0) or stderr (1)."""
        length = self._talk.lengths[stream]
        return bytes(ffi.buffer(self._talk.outputs[stream], length)) if length else b""
