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

lib: _Lib

CData = Any
