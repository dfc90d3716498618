"""walk and fwalk: os.walk and os.fwalk to the letter, faster.

The documentation of `os.walk` and `os.fwalk` in the running interpreter's library reference holds word for word:
signature, order, pruning and appending to the list of directories between two yields, `onerror`, audit events, and that
nothing is yielded of a directory that could not be read to its end. See docs/walk.md for what is different inside.
"""

from typing import TYPE_CHECKING

from fastos import _backend

if TYPE_CHECKING:
    from fastos._backend import native_walk as backend
else:
    backend = _backend.topic("walk")

walk = backend.walk
fwalk = backend.fwalk

__all__ = ["fwalk", "walk"]
