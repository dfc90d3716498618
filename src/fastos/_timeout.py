"""Seconds of the caller as nanoseconds of the core."""

import math


def nanoseconds(seconds: float) -> int:
    """Rounded up; 0 for what is negative; 146 years, which the clocks can count, for what is longer, infinity included.
    Raises TypeError and ValueError for what is no number."""
    return math.ceil(min(max(seconds * 1e9, 0.0), 2.0**62))
