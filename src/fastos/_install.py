"""`install()` swaps into the running interpreter what fastos does faster; `uninstall()` puts the originals back.

Only what is measured faster is in `_SWAPS` (`make bench ONLY=dropins`): the rest of `os` and `subprocess` is as fast as
it gets already. A module that took a function by value before (`from os import walk`) keeps what it took.
"""

import importlib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from fastos import _backend


class _Swap(NamedTuple):
    """One attribute of a standard module and what takes its place."""

    module: str
    name: str
    home: str

    @property
    def label(self) -> str:
        return f"{self.module}.{self.name}"

    def replacement(self) -> Any:
        return getattr(importlib.import_module(self.home), self.name)


_SWAPS = (
    _Swap("os", "walk", "fastos._walk"),
    _Swap("os", "fwalk", "fastos._walk"),
    _Swap("shutil", "rmtree", "fastos._rmtree"),
    _Swap("subprocess", "Popen", "fastos.subprocess"),
)

_lock = threading.Lock()
_originals: dict[_Swap, Any] = {}


def install(*, count: "Counter[str] | None" = None) -> tuple[str, ...]:
    """Swaps fastos's functions into the standard modules, for the whole process.

    Args:
        count: if given, counts the calls of each swapped function under its name (`"os.walk"`); counting costs
            about 100 ns a call.

    Returns:
        The names that were swapped: `("os.walk", "os.fwalk", "shutil.rmtree", "subprocess.Popen")` where fastos has
        its compiled core; nothing, and nothing is changed, on the standard-library backend.

    Raises:
        RuntimeError: it is installed already.

    `isinstance(x, os.DirEntry)`, `shutil.rmtree.avoids_symlink_attacks`, `isinstance(p, subprocess.Popen)` and audit
    events are as before. Not promised: names that other modules took by value before the call.
    """
    with _lock:
        if _originals:
            raise RuntimeError("fastos is installed already; call fastos.uninstall() first")
        if not _backend.COMPILED:
            return ()
        for swap in _SWAPS:
            module = importlib.import_module(swap.module)
            if not hasattr(module, swap.name):
                continue
            replacement = swap.replacement()
            _originals[swap] = getattr(module, swap.name)
            setattr(module, swap.name, replacement if count is None else _counted(replacement, swap.label, count))
        return tuple(swap.label for swap in _originals)


def uninstall() -> None:
    """Puts the originals back: afterwards `os.walk is original`. Does nothing if fastos is not installed."""
    with _lock:
        while _originals:
            swap, original = _originals.popitem()
            setattr(importlib.import_module(swap.module), swap.name, original)


def _counted(replacement: Any, label: str, count: "Counter[str]") -> Any:
    """The same function, or a subclass of the same class, that counts its calls."""
    if isinstance(replacement, type):
        return _counted_class(replacement, label, count)

    def counted(*args: Any, **kwargs: Any) -> Any:
        count[label] += 1
        return replacement(*args, **kwargs)

    return _named_like(counted, replacement)


def _counted_class(replacement: type, label: str, count: "Counter[str]") -> type:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        count[label] += 1
        replacement.__init__(self, *args, **kwargs)  # type: ignore[misc]

    namespace = {"__init__": _named_like(__init__, replacement.__init__), "__doc__": replacement.__doc__}  # type: ignore[misc]
    return type(replacement)(replacement.__name__, (replacement,), namespace)


def _named_like(wrapper: Callable[..., Any], original: Any) -> Callable[..., Any]:
    import functools

    return functools.wraps(original)(wrapper)
