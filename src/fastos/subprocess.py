"""`from fastos import subprocess`: all of the standard module, with `Popen` on fastos.spawn.

Every name of the standard module is here, and the exceptions and constants are the same objects. `Popen` is a
subclass of the standard one, with the same arguments, attributes and methods, and two more: `pidfd` and `rusage`.
`run`, `call`, `check_call`, `check_output`, `getoutput` and `getstatusoutput` are the standard ones, with this Popen.

What differs is listed in docs/differences.md. On the standard-library backend this is the standard module.
"""

import subprocess as _standard
import types as _types
from typing import Any as _Any

from fastos import _backend

# The functions that start processes look Popen up in their module: here they find ours.
_FUNCTIONS = ("call", "check_call", "check_output", "getoutput", "getstatusoutput")


def _in_this_module(function: _Any) -> _Any:
    """The standard function with this module's names in place of its own."""
    copy = _types.FunctionType(
        function.__code__, globals(), function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__doc__ = function.__doc__
    copy.__annotations__ = function.__annotations__
    return copy


globals().update({name: value for name, value in vars(_standard).items() if not name.startswith("__")})
__all__ = _standard.__all__

if _backend.COMPILED:
    from fastos import _subprocess_popen, _subprocess_run
    from fastos._subprocess_popen import Popen as Popen

    Popen.__module__ = __name__
    for _name in _FUNCTIONS:
        globals()[_name] = _in_this_module(getattr(_standard, _name))
    _run_with_popen = _in_this_module(_standard.run)

    def run(
        *popenargs: _Any,
        input: _Any = None,
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **kwargs: _Any,
    ) -> _Any:
        """subprocess.run: without a timeout and with the common options in one call of the core, else with Popen."""
        if Popen is _subprocess_popen.Popen and timeout is None and len(popenargs) == 1:
            plan = _subprocess_run.plan(popenargs[0], input, capture_output, kwargs)
            if plan is not None:
                return _subprocess_run.complete(plan, popenargs[0], input, check)
        return _run_with_popen(
            *popenargs, input=input, capture_output=capture_output, timeout=timeout, check=check, **kwargs
        )


def __getattr__(name: str) -> _Any:
    """A name that the standard module got after this one was imported."""
    return getattr(_standard, name)
