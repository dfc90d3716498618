"""walk and fwalk on the standard library: os.walk and os.fwalk themselves."""

import os
from typing import Any


def _no_fwalk(*args: Any, **options: Any) -> Any:
    raise NotImplementedError("fwalk needs directory descriptors (openat), which this platform does not have")


walk = os.walk
fwalk = getattr(os, "fwalk", _no_fwalk)
