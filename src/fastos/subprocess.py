"""`from fastos import subprocess`: all of the standard module, with `Popen` on fastos.spawn.

Every name of the standard module is here, and the exceptions and constants are the same objects. `Popen` is a
subclass of the standard one, with the same arguments, attributes and methods, and two more: `pidfd` and `rusage`.
`run`, `call`, `check_call`, `check_output`, `getoutput` and `getstatusoutput` are the standard ones, with this Popen.

What differs is listed in docs/differences.md. On the standard-library backend this is the standard module.
"""

import subprocess as _standard
import types
from typing import Any

from fastos import _backend

# The functions that start processes look Popen up in their module: here they find ours.
_FUNCTIONS = ("call", "check_call", "check_output", "getoutput", "getstatusoutput", "run")


def _in_this_module(function: Any) -> Any:
    """The standard function with this module's names in place of its own."""
    copy = types.FunctionType(
        function.__code__, globals(), function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__doc__ = function.__doc__
    copy.__annotations__ = function.__annotations__
    return copy


globals().update({name: value for name, value in vars(_standard).items() if not name.startswith("__")})
__all__ = _standard.__all__

if _backend.COMPILED:
    from fastos._subprocess_popen import Popen as Popen

    Popen.__module__ = "fastos.subprocess"
    for _name in _FUNCTIONS:
        globals()[_name] = _in_this_module(getattr(_standard, _name))


def __getattr__(name: str) -> Any:
    """A name that the standard module got after this one was imported."""
    return getattr(_standard, name)
