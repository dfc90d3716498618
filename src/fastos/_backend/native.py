"""The one place that touches the compiled module.

Its functions return `>= 0` or `-errno`; `check` turns the latter into the right OSError.
"""

from fastos import _backend

try:
    from fastos._native import ffi, lib
except ImportError as error:
    raise ImportError(
        "fastos: the compiled core fastos._native is not there. Build it (`make build`, or `pip install .` with a C "
        "compiler and the Python headers), or set FASTOS_BACKEND=stdlib to do without it."
    ) from error

if _backend.NAME == "posix":
    lib.fo_platform_use(lib.FO_ENGINE_POSIX)

__all__ = ["ffi", "lib"]
