"""The compiled module as mypy sees it. tests/test_native.py holds it equal to the real one.

One section a topic, in the order of csrc/api.h.
"""

from typing import Any

import cffi

ffi: cffi.FFI

class _Lib:
    # -- platform
    FO_ENGINE_NATIVE: int
    FO_ENGINE_POSIX: int
    def fo_platform_use(self, engine: int, /) -> int: ...
    def fo_platform_engine(self) -> int: ...
    # -- stat
    FO_TYPE_UNKNOWN: int
    FO_TYPE_FILE: int
    FO_TYPE_DIRECTORY: int
    FO_TYPE_SYMLINK: int
    FO_TYPE_FIFO: int
    FO_TYPE_SOCKET: int
    FO_TYPE_CHAR: int
    FO_TYPE_BLOCK: int
    FO_STAT_TYPE: int
    FO_STAT_MODE: int
    FO_STAT_NLINK: int
    FO_STAT_UID: int
    FO_STAT_GID: int
    FO_STAT_ATIME: int
    FO_STAT_MTIME: int
    FO_STAT_CTIME: int
    FO_STAT_INO: int
    FO_STAT_SIZE: int
    FO_STAT_BLOCKS: int
    FO_STAT_BTIME: int
    FO_STAT_DEV: int
    FO_STAT_BASIC: int
    FO_STAT_ALL: int
    def fo_stat_at(self, dir_fd: int, path: CData, flags: int, mask: int, out: CData, /) -> int: ...
    def fo_stat_type(self, mode: int, /) -> int: ...
    # -- log
    FO_LOG_ROTATED: int
    FO_LOG_BLOCKED: int
    FO_LOG_EOF: int
    FO_LOG_MORE: int
    def fo_log_scratch_new(self, out: CData, /) -> int: ...
    def fo_log_scratch_free(self, scratch: CData, /) -> None: ...
    def fo_log_open(self, options: CData, out: CData, /) -> int: ...
    def fo_log_pump(self, log: CData, scratch: CData, budget: int, turn: CData, /) -> int: ...
    def fo_log_finish(self, log: CData, scratch: CData, turn: CData, /) -> int: ...
    def fo_log_reopen(self, log: CData, /) -> int: ...
    def fo_log_rotate(self, log: CData, turn: CData, /) -> int: ...
    def fo_log_tap(self, log: CData, on: int, /) -> int: ...
    def fo_log_pending(self, log: CData, /) -> int: ...
    def fo_log_close(self, log: CData, /) -> None: ...

lib: _Lib

CData = Any
