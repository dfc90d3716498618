"""The way in of run_many: commands become jobs, and those that are alike are submitted together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos._run_job import Job
from fastos._run_plan import AnyCommand, Plan, args_and_options

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
else:
    backend = _backend.topic("run")


class Feed:
    """Makes commands ready; `flush` submits them, in their order."""

    def __init__(self, given: dict[str, Any], capture: bool, stdin: Any) -> None:
        self._given, self._capture, self._stdin = given, capture, stdin
        self._plan = Plan(given, capture, stdin)
        # Never in both: commands without options of their own, numbered from `_first` to `_next`, and those with.
        self._batch = backend.Batch(given.get("env"), given.get("executable"))
        self._first = self._next = 0
        self._own: list[Job] = []

    def add(self, command: AnyCommand, token: int, many: "backend.Many") -> tuple[Job, Any]:
        """The command's job, and its args. TypeError; ValueError: no process can be had for these arguments."""
        args, own = args_and_options(command)
        if own:
            job = self._own_job(args, own, token)
            if self._batch:
                self.flush(many)
            self._own.append(job)
            return job, args
        job = self._plan.shared_job(args)
        if token != self._next:
            self.flush(many)
            self._first = token
        self._batch.add(args)
        self._next = token + 1
        return job, args

    def _own_job(self, args: Any, own: Mapping[str, Any], token: int) -> Job:
        capture = self._capture and not ("stdout" in own or "stderr" in own)
        return Plan({**self._given, **own}, capture, self._stdin).job_for(args, token)

    def flush(self, many: "backend.Many") -> None:
        """Submits what was added."""
        if self._own:
            many.submit(self._own)
            self._own.clear()
        elif self._batch:
            many.submit_alike(self._plan.job, self._first, self._batch)
            self._batch.clear()
        self._first = self._next
