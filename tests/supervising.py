"""What the tests of supervision share."""

import sys
import time
from collections.abc import Callable
from typing import Any

from fastos.supervise import Service, Supervisor

PYTHON = sys.executable
FOREVER = ["/bin/sleep", "1000"]


def step_until(supervisor: Supervisor, condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Lets the supervisor work until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, {name: vars_of(status) for name, status in supervisor.status().items()}
        supervisor.step(0.2)


def vars_of(status: Any) -> tuple[object, ...]:
    return (status.state, status.pid, status.restarts, status.message)


def python(name: str, code: str, **options: Any) -> Service:
    """A service in Python."""
    return Service(name, [PYTHON, "-S", "-c", code], **options)


def states(supervisor: Supervisor) -> dict[str, str]:
    return {name: status.state for name, status in supervisor.status().items()}


def is_state(supervisor: Supervisor, name: str, state: str) -> Callable[[], bool]:
    return lambda: supervisor.status()[name].state == state
