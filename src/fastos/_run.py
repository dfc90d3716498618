"""Running one program, or one pipeline, to its end: `run` and `pipeline`."""

import os
from collections.abc import Iterable, Mapping
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any

from fastos import _backend
from fastos import _spawn_options as options
from fastos._completed import Completed, completed_from, timeout_expired
from fastos._run_job import Job
from fastos._run_plan import OWN_OPTIONS, PIPE, AnyCommand, Input, Plan, args_and_options, common_job

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
else:
    backend = _backend.topic("run")

# Options of a spawn with which a run is still a plain one.
_COMMON = frozenset(("stdin", "stdout", "stderr", "env", "executable"))


def run(
    args: options.Arguments,
    *,
    input: Input = None,
    capture: bool = False,
    text: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    timeout: float | None = None,
    check: bool = False,
    output_limit: int | None = None,
    kill_at_limit: bool = False,
    kill_tree: bool = True,
    **spawn_options: Any,
) -> Completed:
    """Runs a program to its end: spawn, input, output, wait, in one go without the interpreter.

    Args:
        args: the program and its arguments; no shell.
        input: bytes, or str (encoded), fed to its standard input, or a file to read from. None: inherited.
        capture: collect stdout and stderr; stdout=PIPE or stderr=PIPE collects one, stderr=STDOUT joins them.
        text: give the output as str, with newlines translated, as subprocess does; encoding and errors imply it.
        timeout: seconds. At the deadline the process and its descendants are killed. The deadline also ends the wait
            for a stream that a descendant holds open after the process itself has ended; without one the end of the
            collected streams is waited for, as subprocess does.
        check: raise CalledProcessError if the exit code is not 0.
        output_limit: how many bytes of each stream to keep. What comes after is read and dropped, so that the process
            is not held up, and the result says `truncated`.
        kill_at_limit: kill the process and its descendants when a stream comes to its limit.
        kill_tree: False: a deadline or limit kills the process alone, as subprocess does. Descendants that were
            orphaned before, or whose ids forbid it, are left: `survivors` counts those that are known.
        spawn_options: every option of fastos.spawn.

    Raises:
        SpawnError: the process could not be started; its `step` says at what.
        TimeoutExpired: a subprocess.TimeoutExpired, with the output so far.
        CalledProcessError: a subprocess.CalledProcessError.
        UnicodeDecodeError: the output is not text.
        TypeError, ValueError: options that make no sense, before anything is started.

    An exception from a signal handler (KeyboardInterrupt) kills the process and its descendants; after Ctrl-C it has
    a quarter of a second to end by itself.
    """
    own = (capture, text, encoding, errors, timeout, output_limit, kill_at_limit, kill_tree)
    try:
        if _COMMON.issuperset(spawn_options) and (input is None or isinstance(input, bytes | str)):
            job = common_job(args, input, spawn_options, own)
        else:
            given = dict(spawn_options)
            for name, value in zip(OWN_OPTIONS, own, strict=True):
                if value is not None:
                    given[name] = value
            if input is not None:
                given["input"] = input
            job = Plan(given, False).job_for(args, 0)
    except options.UNUSUAL:
        from fastos._option_check import check_options

        check_options({**spawn_options, **dict(zip(OWN_OPTIONS, own, strict=True)), "input": input})
        raise
    outcome = backend.run_alone(job)
    completed = completed_from(job, args, outcome)
    if completed.error is not None:
        raise completed.error
    if completed.timed_out:
        raise timeout_expired(completed, timeout or 0.0)
    if check:
        completed.check_returncode()
    return completed


def pipeline(
    commands: Iterable[AnyCommand],
    *,
    input: Input = None,
    capture: bool = True,
    text: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    timeout: float | None = None,
    check: bool = False,
    output_limit: int | None = None,
    **spawn_options: Any,
) -> list[Completed]:
    """Runs programs with each one's output as the next one's input: `a | b | c`. Returns how each ended, in order.

    Each stage that reads no more lets the one before it end by SIGPIPE, as in a shell.

    Args:
        commands: at least one: sequences of arguments, or Command or mappings ({"args": …}) with options of their own.
        input: for the first, as in run; None: inherited.
        capture: collect the last one's stdout. Standard error is inherited unless stderr=PIPE is said, for all or for
            one command.
        timeout: seconds for the whole; at the deadline all are killed.
        check: raise CalledProcessError for the first that failed, like a shell's pipefail; one that a SIGPIPE ended
            because the next did not read on is no failure, unless it is the last.
        others: as in run, for every stage.

    Raises: as run. If a stage cannot be started, those before it are killed.
    """
    stages = [args_and_options(command) for command in commands]
    if not stages:
        raise ValueError("a pipeline has at least one command")
    common = dict(
        spawn_options, text=text, encoding=encoding, errors=errors, timeout=timeout, output_limit=output_limit
    )
    group = backend.Group(len(stages))
    jobs: list[Job] = []
    ends: list[int] = []
    try:
        _start_stages(group, jobs, stages, ends, common, input, capture)
        backend.drive(group)
        outcomes = group.outcomes()
    finally:
        _close_ends(ends, 0, None)
        group.close()
    results = []
    for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        results.append(completed_from(job, stages[number][0], outcome))
    _check_pipeline(results, timeout, check)
    return results


def _start_stages(
    group: "backend.Group",
    jobs: list[Job],
    stages: list[tuple[Any, Mapping[str, Any]]],
    ends: list[int],
    common: dict[str, Any],
    input: Input,
    capture: bool,
) -> None:
    """Leaves in `ends` those of the pipes between the stages that are open here, after an exception as well: the caller
    closes them. (In 3.12.1 an interrupt at a loop's jump back passes a `finally` around the loop by.)"""
    last = len(stages) - 1
    for number, (args, own) in enumerate(stages):
        given = {**common, **own}
        if number == 0 and input is not None:
            given["input"] = input
        if number > 0:
            given["stdin"] = ends[0]
        if number < last:
            _add_pipe(ends)
            given["stdout"] = ends[-1]
        elif capture:
            given.setdefault("stdout", PIPE)
        job = Plan(given, False).job_for(args, number)
        group.start(job)
        jobs.append(job)
        if number < last:
            _close_ends(ends, -1, None)
        if number > 0:
            _close_ends(ends, 0, 1)
        if group.failed(number):
            group.kill()
            _close_ends(ends, 0, None)
            break


# Each in one step of the interpreter: between two, the handler of a signal may raise, and then a descriptor would be
# lost, or closed twice, which is to close somebody else's.


def _add_pipe(ends: list[int]) -> None:
    ends.extend(chain.from_iterable(starmap(os.pipe, [()])))


def _close_ends(ends: list[int], first: int, behind: int | None) -> None:
    """Closes those ends and takes them out."""
    ends[first:behind] = filter(None, map(os.close, ends[first:behind]))


def _check_pipeline(results: list[Completed], timeout: float | None, check: bool) -> None:
    for completed in results:
        if completed.error is not None:
            raise completed.error
    for completed in results:
        if completed.timed_out:
            raise timeout_expired(completed, timeout or 0.0)
    for completed in results if check else ():
        if completed.returncode != -13 or completed is results[-1]:
            completed.check_returncode()
