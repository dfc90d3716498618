"""What follows when a service ends: whether it is restarted, after which delay, and when enough is enough."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastos.supervise.check import positive
from fastos.supervise.states import Event


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay before a restart: `initial × factor^n`, at most `cap`, each time a random share of up to `jitter`
    more or less.

    Parameters:
        initial: seconds before the first restart; 0 restarts at once, every time.
        factor: how much longer each further delay is.
        cap: the longest delay in seconds, jitter included.
        jitter: 0.1 spreads each delay over ±10 %, so that what failed together does not come back together.
        reset_after: seconds that a service must have run for its next restart to begin with `initial` again.
    """

    initial: float = 0.1
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 0.1
    reset_after: float = 10.0

    def __post_init__(self) -> None:
        positive("backoff.initial", self.initial, zero=True)
        positive("backoff.factor", self.factor)
        positive("backoff.cap", self.cap, zero=True)
        positive("backoff.jitter", self.jitter, zero=True)
        positive("backoff.reset_after", self.reset_after, zero=True)
        if self.factor < 1:
            raise ValueError(f"backoff.factor must be 1 or more, not {self.factor!r}")
        if self.jitter > 1:
            raise ValueError(f"backoff.jitter must be between 0 and 1, not {self.jitter!r}")

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds before the restart after `attempt` earlier ones; `chance` gives a number in [0, 1)."""
        if self.initial == 0:
            return 0.0
        # The exponent is bounded so that the power stays a float.
        grown = self.initial * self.factor ** min(attempt, 1000) if self.factor < 2 else self._doubled(attempt)
        spread = 1 + self.jitter * (2 * chance() - 1)
        return min(min(grown, self.cap) * spread, self.cap)

    def _doubled(self, attempt: int) -> float:
        delay = self.initial
        for _ in range(min(attempt, 1100)):
            if delay >= self.cap:
                break
            delay *= self.factor
        return delay


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """How many restarts are too many.

    Parameters:
        count: more restarts than this within `window` and the service has failed; 0 allows none.
        window: seconds.
        then: `fail`: the service stays down. `shutdown`: the whole supervisor ends, exit code 1.
    """

    count: int = 10
    window: float = 60.0
    then: Literal["fail", "shutdown"] = "fail"

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise ValueError(f"restart_limit.count must be a whole number, 0 or more, not {self.count!r}")
        positive("restart_limit.window", self.window)
        if self.then not in ("fail", "shutdown"):
            raise ValueError(f"restart_limit.then must be 'fail' or 'shutdown', not {self.then!r}")


class History:
    """The restarts of one service: how many in a row (for the delay) and when (for the limit). Times in ns,
    monotonic."""

    __slots__ = ("attempts", "times")

    def __init__(self) -> None:
        self.attempts = 0
        self.times: list[int] = []

    def forget(self) -> None:
        self.attempts = 0
        self.times = []

    def exceeds(self, limit: RestartLimit, now: int) -> bool:
        """Notes a restart and says whether that is one too many."""
        since = now - int(limit.window * 1e9)
        self.times = [when for when in self.times if when > since]
        self.times.append(now)
        return len(self.times) > limit.count


def verdict(restart: str, success: bool, asked_for: bool = False) -> Event:
    """Which of the three deaths it was, before any limit: `restart` is the policy, `success` whether it ended well."""
    if asked_for or restart == "always" or (restart == "on-failure" and not success):
        return Event.DIED_RETRY
    return Event.DIED_DONE if success else Event.DIED_FAILED
