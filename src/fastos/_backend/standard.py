"""How a `stdlib_<topic>` module takes its functions from the interpreter's own `os`.

On a platform that has no such function (Windows) a stand-in raises NotImplementedError when it is called.
"""

import os
from collections.abc import Callable
from typing import Any, NoReturn


def _missing(name: str) -> Callable[..., NoReturn]:
    def stand_in(*arguments: object, **keywords: object) -> NoReturn:
        raise NotImplementedError(f"os.{name} is not there on this platform ({os.name})")

    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


def borrow(namespace: dict[str, Any], *names: str) -> None:
    """Fills a module's namespace with these functions of `os`."""
    for name in names:
        namespace[name] = getattr(os, name, None) or _missing(name)
