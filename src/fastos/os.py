"""The standard `os` with the hot paths native, and popen2, popen3, popen4: `from fastos import os`.

Every name of the running interpreter's `os` is here. A function is fastos's own where that is measured to be the
faster (docs/primitives.md has the table), otherwise it is the interpreter's. `environ`,
`path`, `DirEntry`, `PathLike`, `error` and every other object that has an identity are the standard module's own.

The standard functions that are written in Python live here in this module's namespace: whoever replaces a name here,
say `mkdir` in a test, replaces it for those that call it, say `makedirs`, as with the standard module. What is replaced
in the standard module itself does not show here.
"""

import os as _standard
import sys as _sys
from types import FunctionType as _FunctionType
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING
from typing import Any as _Any

from fastos import _backend

if TYPE_CHECKING:
    from os import *  # noqa: F403
    from os import path

# What this module takes from fastos, by the module that has it; benchmarks/bench_primitives.py decides.
_FASTER = {
    "fastos._backend.native_launch": (
        "spawnv",
        "spawnve",
        "spawnvp",
        "spawnvpe",
        "spawnl",
        "spawnle",
        "spawnlp",
        "spawnlpe",
    ),
    "fastos._popen": ("popen",),
    "fastos._walk": ("walk", "fwalk"),
}
_TAKEN = frozenset(name for names in _FASTER.values() for name in names)
_ADDED = ("popen2", "popen3", "popen4")
_OWN_NAMES = {
    *("__name__", "__doc__", "__file__", "__cached__", "__loader__", "__spec__", "__package__", "__builtins__"),
    "__warningregistry__",
}


def _rebound(value: _Any) -> _Any:
    """A standard function written in Python, with this module as its namespace; anything else as it is."""
    if not isinstance(value, _FunctionType) or value.__globals__ is not vars(_standard):
        return value
    function = _FunctionType(value.__code__, globals(), value.__name__, value.__defaults__, value.__closure__)
    function.__kwdefaults__ = value.__kwdefaults__
    function.__doc__, function.__annotations__ = value.__doc__, dict(value.__annotations__)
    function.__qualname__ = value.__qualname__
    function.__dict__.update(vars(value))
    return function


def _module(name: str) -> _ModuleType:
    import importlib

    return importlib.import_module(name)


def _fill(namespace: dict[str, _Any]) -> None:
    namespace.update({name: _rebound(value) for name, value in vars(_standard).items() if name not in _OWN_NAMES})
    if _backend.COMPILED:
        for module, names in _FASTER.items():
            found = vars(_module(module))
            namespace.update({name: found[name] for name in names})
    added = vars(_module("fastos._popen"))
    namespace.update({name: added[name] for name in _ADDED})
    namespace["__all__"] = [*_standard.__all__, *_ADDED]
    # The sets hold functions, so they must hold these.
    for name, members in vars(_standard).items():
        if name.startswith("supports_") and isinstance(members, set):
            namespace[name] = {_counterpart(namespace, member) for member in members}


def _counterpart(namespace: dict[str, _Any], member: _Any) -> _Any:
    """This module's function for one of the standard module's."""
    name = getattr(member, "__name__", "")
    return namespace[name] if getattr(_standard, name, None) is member else member


_fill(globals())
# As `import os.path` works, so does `import fastos.os.path`.
_sys.modules[f"{__name__}.path"] = path
