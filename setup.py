"""Builds the cffi module; everything else about the package stands in pyproject.toml.

SANITIZE=address,undefined and COVERAGE=1 in the environment instrument the C core (see csrc/build.py).
Where there is no POSIX (Windows) no extension is built: the standard-library backend stands in.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import setup


def missing_tool() -> str | None:
    """One plain line that says what to install, or None if the extension can be compiled."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"fastos: no C compiler ({compiler} is not on PATH). On Debian: apt-get install gcc"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"fastos: {header} is missing. On Debian: apt-get install python3-dev"
    return None


def free_threaded() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


if os.name != "posix":
    setup()
else:
    if problem := missing_tool():
        sys.exit(problem)
    # abi3 and free-threaded builds exclude each other.
    options = {} if free_threaded() else {"bdist_wheel": {"py_limited_api": "cp311"}}
    setup(cffi_modules=["csrc/build.py:ffibuilder"], options=options)
