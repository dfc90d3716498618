"""cffi builder: csrc/api/*.h, in the order of csrc/api.h, is the cdef; csrc/*.c is what gets compiled.

The headers in csrc/api/ hold no preprocessor directive, so the C compiler and cffi read the same text.
"""

import os
import re
import sysconfig
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"


def api_headers() -> list[Path]:
    """The declaration headers, in the order in which api.h includes them."""
    names = re.findall(r'^#include "(api/\w+\.h)"', (CSRC / "api.h").read_text(), re.MULTILINE)
    return [CSRC / name for name in names]


def relative(paths: list[Path]) -> list[str]:
    return [os.path.relpath(path, ROOT) for path in paths]


def instrumentation() -> list[str]:
    flags: list[str] = []
    if sanitizers := os.environ.get("SANITIZE"):
        flags += [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer", "-g"]
    if os.environ.get("COVERAGE"):
        flags += ["--coverage"]
    return flags


def builder() -> cffi.FFI:
    ffi = cffi.FFI()
    headers = api_headers()
    for header in headers:
        ffi.cdef(header.read_text())
    extra = instrumentation()
    warnings = ["-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes"] + (["-Werror"] if os.environ.get("CI") else [])
    # The module that cffi generates is not ours to clean: its harmless warnings are silenced one by one.
    generated = [
        "-Wno-unused-parameter",
        "-Wno-unused-function",
        "-Wno-missing-field-initializers",
        "-Wno-cast-function-type",
        "-Wno-shadow",
    ]
    ffi.set_source(
        "fastos._native",
        '#include "api.h"',
        sources=relative(sorted(CSRC.glob("*.c"))),
        include_dirs=[os.path.relpath(CSRC, ROOT)],
        depends=relative(sorted(CSRC.glob("*.h")) + headers),
        # Ours before the system's of the same name, and only for #include "...".
        extra_compile_args=[
            "-iquote",
            os.path.relpath(CSRC, ROOT),
            "-D_GNU_SOURCE=1",  # the same definition as pyconfig.h's, for the files that do not include it
            "-std=gnu11",
            "-O2",
            "-fvisibility=hidden",
            "-pthread",
            *warnings,
            *generated,
            *extra,
        ],
        extra_link_args=["-pthread", *extra],
        py_limited_api=not sysconfig.get_config_var("Py_GIL_DISABLED"),
    )
    return ffi


ffibuilder = builder()

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
