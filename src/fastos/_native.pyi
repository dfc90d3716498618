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
    # -- predicate
    FO_PREDICATE_NO: int
    FO_PREDICATE_YES: int
    FO_PREDICATE_UNKNOWN: int
    FO_PREDICATE_VERSION: int
    FO_NODE_FALSE: int
    FO_NODE_TRUE: int
    FO_NODE_NOT: int
    FO_NODE_AND: int
    FO_NODE_OR: int
    FO_NODE_TYPE: int
    FO_NODE_RANGE: int
    FO_NODE_NUMBERS: int
    FO_NODE_BITS: int
    FO_NODE_EQUAL: int
    FO_NODE_STARTS: int
    FO_NODE_ENDS: int
    FO_NODE_CONTAINS: int
    FO_NODE_BELOW: int
    FO_NODE_AT_MOST: int
    FO_NODE_TEXTS: int
    FO_NODE_GLOB: int
    FO_TEXT_NAME: int
    FO_TEXT_SUFFIX: int
    FO_TEXT_PATH: int
    FO_NUMBER_DEPTH: int
    FO_NUMBER_SIZE: int
    FO_NUMBER_BLOCKS: int
    FO_NUMBER_INO: int
    FO_NUMBER_DEV: int
    FO_NUMBER_RDEV: int
    FO_NUMBER_MODE: int
    FO_NUMBER_UID: int
    FO_NUMBER_GID: int
    FO_NUMBER_NLINK: int
    FO_NUMBER_BLKSIZE: int
    FO_NUMBER_ATIME_NS: int
    FO_NUMBER_MTIME_NS: int
    FO_NUMBER_CTIME_NS: int
    FO_NUMBER_BTIME_NS: int
    def fo_predicate_new(self, code: CData, length: int, out: CData, /) -> int: ...
    def fo_predicate_free(self, predicate: CData, /) -> None: ...
    def fo_predicate_stat_mask(self, predicate: CData, /) -> int: ...
    def fo_predicate_needs_path(self, predicate: CData, /) -> int: ...
    def fo_predicate_test(self, predicate: CData, entry: CData, /) -> int: ...
    # -- ignore
    FO_IGNORE_HAS_FILE: int
    FO_IGNORE_HAS_GIT: int
    FO_IGNORE_NESTED: int
    def fo_ignore_new(self, request: CData, out: CData, /) -> int: ...
    def fo_ignore_enter(
        self, parent: CData, dir_fd: int, path: CData, path_length: int, hints: int, out: CData, /
    ) -> int: ...
    def fo_ignore_match(
        self,
        context: CData,
        directory: CData,
        directory_length: int,
        name: CData,
        name_length: int,
        is_directory: int,
        /,
    ) -> int: ...
    def fo_ignore_hold(self, context: CData, /) -> CData: ...
    def fo_ignore_release(self, context: CData, /) -> None: ...
    # -- wait
    FO_WAIT_RUNNING: int
    FO_WAIT_ENDED: int
    FO_WAIT_LOST: int
    def fo_wait_pidfd(self, pidfd: int, timeout_ns: int, result: CData, /) -> int: ...
    def fo_wait_process(self, pid: int, pidfd: int, timeout_ns: int, result: CData, /) -> int: ...
    def fo_wait_readable(self, pidfd: int, timeout_ns: int, /) -> int: ...
    def fo_wait_signal(self, pid: int, pidfd: int, signal: int, /) -> int: ...
    # -- spawn
    FO_STEP_NONE: int
    FO_STEP_PREPARE: int
    FO_STEP_STREAM: int
    FO_STEP_FORK: int
    FO_STEP_CGROUP: int
    FO_STEP_CLOSE: int
    FO_STEP_SESSION: int
    FO_STEP_PROCESS_GROUP: int
    FO_STEP_TERMINAL: int
    FO_STEP_DESCRIPTOR: int
    FO_STEP_DIRECTORY: int
    FO_STEP_NICE: int
    FO_STEP_AFFINITY: int
    FO_STEP_OOM: int
    FO_STEP_LIMIT: int
    FO_STEP_SIGNALS: int
    FO_STEP_GROUPS: int
    FO_STEP_GROUP: int
    FO_STEP_USER: int
    FO_STEP_PRIVILEGES: int
    FO_STEP_PARENT: int
    FO_STEP_EXEC: int
    FO_STREAM_INHERIT: int
    FO_STREAM_PIPE: int
    FO_STREAM_NULL: int
    FO_STREAM_STDOUT: int
    FO_STREAM_PTY: int
    FO_SPAWN_NEW_SESSION: int
    FO_SPAWN_NO_NEW_PRIVILEGES: int
    FO_SPAWN_RESTORE_SIGNALS: int
    FO_SPAWN_SIGNAL_MASK: int
    FO_SPAWN_NICE: int
    FO_SPAWN_OOM: int
    FO_SPAWN_KEEP_DESCRIPTORS: int
    FO_SPAWN_NO_PIDFD: int
    def fo_spawn_request_init(self, request: CData, /) -> None: ...
    def fo_spawn(self, request: CData, result: CData, /) -> int: ...
    def fo_spawn_step_name(self, step: int, /) -> CData: ...

lib: _Lib

CData = Any
