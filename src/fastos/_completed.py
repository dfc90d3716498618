"""How a process ended: `Completed`, and the errors that it can be turned into."""

import subprocess
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos._run_job import CANCELLED, CORE, LOST, TIMED_OUT, TRUNCATED, Job, Outcome

if TYPE_CHECKING:
    import resource

    from fastos._backend import native_run as backend
else:
    backend = _backend.topic("run")


class CalledProcessError(subprocess.CalledProcessError):
    """A process failed and `check` was asked for. `completed` is the Completed with all that is known."""

    completed: "Completed"


class TimeoutExpired(subprocess.TimeoutExpired):
    """The deadline came first; the process is dead and reaped. `completed` has the output up to then."""

    completed: "Completed"


class Completed(subprocess.CompletedProcess[Any]):
    """How a process ended: a subprocess.CompletedProcess that knows more.

    Attributes:
        args: the command as given.
        returncode: the exit code, or minus the signal. Where there was no process, 127 (no such program) or 126, as
            shells have it; 255 if the status was lost.
        stdout, stderr: what was collected, bytes or str; None if it was not.
        pid: the process id it had; 0 if there was no process.
        duration: seconds from the start of the spawn to the end of the process and of its collected streams.
        timed_out: the deadline came first, and the process was killed.
        truncated: a stream had more than `output_limit` bytes.
        cancelled: killed because the run was ended.
        lost: somebody else took the status (a waitpid(-1) elsewhere in this process).
        core_dumped: the kernel wrote a core file.
        survivors: how many of the descendants of a killed process could not be signalled.
        error: the SpawnError (or the ValueError) for which there was no process, or the UnicodeDecodeError for which
            the output is bytes; None if all went well.
        index: the number of the command in its run_many or pipeline, from 0.
    """

    index: int = 0
    pid: int = 0
    duration: float = 0.0
    timed_out: bool = False
    truncated: bool = False
    cancelled: bool = False
    lost: bool = False
    core_dumped: bool = False
    survivors: int = 0
    error: Exception | None = None
    _usage: bytes | None = None

    @property
    def success(self) -> bool:
        """Whether it ended by itself with code 0, in time."""
        return self.returncode == 0 and not self.timed_out and self.error is None

    @property
    def rusage(self) -> "resource.struct_rusage | None":
        """What the process and its waited-for descendants used; None if unknown. See getrusage(2)."""
        if self._usage is None:
            return None
        import resource

        return resource.struct_rusage(backend.usage(self._usage))

    def check_returncode(self) -> None:
        """Raises what keeps this from being a success: `error`, TimeoutExpired or CalledProcessError."""
        if self.error is not None:
            raise self.error
        if self.timed_out:
            raise timeout_expired(self, self.duration)
        if self.returncode != 0:
            failure = CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)
            failure.completed = self
            raise failure

    def __repr__(self) -> str:
        told = [f"args={self.args!r}", f"returncode={self.returncode!r}"]
        told += [f"{name}={value!r}" for name in ("stdout", "stderr") if (value := getattr(self, name)) is not None]
        told += [name for name in ("timed_out", "truncated", "cancelled", "lost") if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(told)})"


def timeout_expired(completed: Completed, timeout: float) -> TimeoutExpired:
    expired = TimeoutExpired(completed.args, timeout, completed.stdout, completed.stderr)
    expired.completed = completed
    return expired


def completed_from(job: Job, args: Any, outcome: Outcome) -> Completed:
    token, duration_ns, pid, code, error, step, index, flags, survivors, usage, output, errors = outcome
    plan = job.plan
    done = Completed(args, code, output if plan.stdout else None, errors if plan.stderr else None)
    done.index = token
    done.pid = pid
    done.duration = duration_ns / 1e9
    done._usage = usage
    if flags:
        done.timed_out = bool(flags & TIMED_OUT)
        done.truncated = bool(flags & TRUNCATED)
        done.cancelled = bool(flags & CANCELLED)
        done.core_dumped = bool(flags & CORE)
        done.survivors = survivors
        if flags & LOST:
            done.lost, done._usage, done.returncode = True, None, 255
    if error:
        own = job.alike(args, token) if job.shared else job
        no_process(done, backend.spawn_failure(own, step, error, index))
    elif plan.decode:
        _decode(done, plan)
    return done


def no_process(done: Completed, error: Exception) -> Completed:
    done.error = error
    done._usage = None
    done.returncode = 127 if isinstance(error, FileNotFoundError) else 126
    return done


def _decode(done: Completed, plan: Any) -> None:
    try:
        if plan.stdout:
            done.stdout = plan.text_of(done.stdout)
        if plan.stderr:
            done.stderr = plan.text_of(done.stderr)
    except UnicodeDecodeError as error:
        done.error = error
