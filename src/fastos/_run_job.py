"""One command on its way: what the backends of `run` take and what they give back."""

from typing import Any, NamedTuple

# Flags of an outcome, as enum fo_run_flag has them.
TIMED_OUT = 1
TRUNCATED = 2
LOST = 4
CORE = 8
CANCELLED = 16

# After an interrupt from the terminal the child has it as well: how long it may take to end by itself, as subprocess.
INTERRUPT_GRACE_NS = 250_000_000


class Job:
    """A command ready to be started.

    `request` is the prepared spawn. Where it is shared by many jobs (`shared`), the arguments are the job's own and
    are encoded by the backend's `encode`.
    """

    __slots__ = (
        "args",
        "block",
        "candidates",
        "count",
        "executable",
        "input",
        "keep",
        "kill_at_limit",
        "kill_tree",
        "output_limit",
        "plan",
        "request",
        "timeout_ns",
        "token",
    )

    args: Any
    block: bytes | None
    candidates: Any
    count: int
    executable: Any
    input: Any
    keep: Any
    kill_at_limit: bool
    kill_tree: bool
    output_limit: int
    plan: Any
    request: Any
    timeout_ns: int
    token: int


class Outcome(NamedTuple):
    """How a job ended."""

    token: int
    duration_ns: int
    pid: int
    code: int  # exit code, or minus the signal
    failure: tuple[int, int, int] | tuple[Any, ...]  # (errno, step, index); errno 0: there was a process
    flags: int
    survivors: int
    usage: bytes | None  # as the backend keeps it
    output: bytes
    errors: bytes
