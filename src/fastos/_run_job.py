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

    `request` is the prepared spawn. A `shared` job stands for many that differ in their arguments and tokens alone;
    the backend's `Batch` has those.
    """

    __slots__ = (
        "args",
        "input",
        "keep",
        "kill_at_limit",
        "kill_tree",
        "output_limit",
        "plan",
        "request",
        "shared",
        "timeout_ns",
        "token",
    )

    args: Any
    input: Any
    keep: Any
    kill_at_limit: bool
    kill_tree: bool
    output_limit: int
    plan: Any
    request: Any
    shared: bool
    timeout_ns: int
    token: int

    def alike(self, args: Any, token: int) -> "Job":
        """One of the many that a shared job stands for."""
        job = Job()
        for name in Job.__slots__:
            setattr(job, name, getattr(self, name))
        job.args, job.token = args, token
        return job


class Outcome(NamedTuple):
    """How a job ended."""

    token: int
    duration_ns: int
    pid: int
    code: int  # exit code, or minus the signal
    error: int  # errno for which there was no process, else 0
    step: Any
    place: int  # which of the things of that step
    flags: int
    survivors: int
    usage: bytes | None  # as the backend keeps it
    output: bytes
    errors: bytes

    @property
    def failure(self) -> tuple[int, Any, int]:
        """(errno, step, place)"""
        return self.error, self.step, self.place
