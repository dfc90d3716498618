"""Picks the backend, once, when fastos is imported.

`FASTOS_BACKEND` forces one:

- `native`: the compiled core with the platform's own system calls (the default where it is built);
- `posix`:  the compiled core with its portable files, as macOS and the BSDs run it;
- `stdlib`: nothing but the standard library (the default on Windows).

A topic (`scan`, `spawn`, ...) has one module for the compiled core, `native_<topic>`, and one for the standard
library, `stdlib_<topic>`, with the same functions.
"""

import importlib
import os
from types import ModuleType
from typing import Final

_CHOICES = ("native", "posix", "stdlib")


def _choose() -> str:
    forced = os.environ.get("FASTOS_BACKEND", "")
    if forced and forced not in _CHOICES:
        raise ImportError(f"FASTOS_BACKEND={forced!r} is unknown; use one of {', '.join(_CHOICES)}")
    return forced or ("native" if os.name == "posix" else "stdlib")


NAME: Final = _choose()
COMPILED: Final = NAME != "stdlib"


def topic(name: str) -> ModuleType:
    """The backend's module for one topic, imported on first use."""
    return module("native" if COMPILED else "stdlib", name)


def module(kind: str, name: str) -> ModuleType:
    """One backend's module for one topic, whichever backend is in use."""
    return importlib.import_module(f"fastos._backend.{kind}_{name}")
