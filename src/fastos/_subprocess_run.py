"""`subprocess.run` in one go: what needs no Popen is started, fed, read and waited for by the core alone."""

import codecs
import os
import signal
import subprocess as standard
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from fastos import _backend
from fastos._errors import SpawnError
from fastos._run_job import INTERRUPT_GRACE_NS, Job, Outcome
from fastos._spawn_options import UNUSUAL
from fastos._subprocess_popen import argument_list, standard_error

if TYPE_CHECKING:
    from fastos._backend import native_run as backend
    from fastos._backend import native_spawn as spawning
else:
    backend = _backend.topic("run")
    spawning = _backend.topic("spawn")

_PIPE = standard.PIPE
# The options with which a run can be done in one go; with any other one, Popen does it.
_KNOWN = frozenset(("stdin", "stdout", "stderr", "env", "text", "universal_newlines", "encoding", "errors", "shell"))


class Plan(NamedTuple):
    """A run made ready."""

    request: Any
    arguments: list[Any]
    streams: tuple[Any, Any, Any]
    codec: tuple[str, str] | None  # None: bytes
    env: Any


def plan(args: Any, input: Any, capture_output: bool, options: Any) -> Plan | None:
    """The plan of a run that `complete` does just as Popen would. None: whatever is odd is for Popen to say."""
    stdin = stdout = stderr = codec = env = shell = None
    if options:
        if not _KNOWN.issuperset(options) or ("text" in options and "universal_newlines" in options):
            return None
        get = options.get
        stdin, stdout, stderr, env, shell = get("stdin"), get("stdout"), get("stderr"), get("env"), get("shell")
    if capture_output:
        if "stdout" in options or "stderr" in options:
            return None
        stdout = stderr = _PIPE
    try:
        if options:
            codec = _codec(options)
        if input is not None:
            if "stdin" in options or type(input) is not (bytes if codec is None else str):
                return None
            stdin = _PIPE
        if type(args) is not list and not isinstance(args, tuple | str | bytes | os.PathLike):
            return None  # an iterator is read once
        arguments = argument_list(args, None, bool(shell))
        streams = stdin, stdout, stderr
        return Plan(spawning.prepare(arguments, env, None, streams, None), arguments, streams, codec, env)
    except (LookupError, *UNUSUAL):
        return None


def _codec(options: Any) -> tuple[str, str] | None:
    """The encoding and its error handler, None for bytes. Raises LookupError or TypeError for what is none."""
    encoding, errors = options.get("encoding"), options.get("errors")
    if encoding is not None:
        if not codecs.lookup(encoding)._is_text_encoding:
            raise LookupError
    elif errors or options.get("text") or options.get("universal_newlines"):
        if sys.flags.warn_default_encoding:
            raise LookupError
        encoding = standard._text_encoding()  # type: ignore[attr-defined]
    else:
        return None
    if errors:
        codecs.lookup_error(errors)
    return encoding, errors or "strict"


def complete(plan: Plan, args: Any, input: Any, check: bool) -> Any:
    """Runs it to its end. Returns a CompletedProcess; raises what subprocess.run raises."""
    request, arguments, streams, codec, env = plan
    sys.audit("subprocess.Popen", arguments[0], arguments, None, env)
    output = errors = None
    if _PIPE in streams:
        outcome = _exchange(request, arguments, input.encode(*codec) if codec and input is not None else input)
        code = outcome.code
        output = _text(outcome.output, codec) if streams[1] == _PIPE else None
        errors = _text(outcome.errors, codec) if streams[2] == _PIPE else None
    else:
        code = _run(request, arguments)
    if check and code:
        raise standard.CalledProcessError(code, args, output=output, stderr=errors)
    return standard.CompletedProcess(args, code, output, errors)


def _run(request: Any, arguments: Any) -> int:
    """Starts what has nothing to read or to write, and waits for it. Returns its returncode."""
    child = spawning.Child()
    try:
        child.start(request)
        while child.wait(-1) <= 0:  # a signal came, and its handler has run
            pass
    except SpawnError as error:
        raise standard_error(error, arguments[0], None) from None
    except BaseException as error:
        if child.started():
            _end(child, error)
        raise
    return child.returncode()


def _end(child: "spawning.Child", error: BaseException) -> None:
    """Kills it; after Ctrl-C, which it may have had as well, it first has a moment to end by itself."""
    try:
        if isinstance(error, KeyboardInterrupt):
            child.wait(INTERRUPT_GRACE_NS)
    finally:
        child.send_signal(signal.SIGKILL)
        while child.wait(-1) <= 0:
            pass


def _exchange(request: Any, arguments: Any, data: bytes | None) -> Outcome:
    """Starts, feeds, reads and waits, in one call."""
    job = Job()
    job.request, job.token, job.args, job.input = request, 0, arguments, data
    job.timeout_ns = job.output_limit = -1
    job.kill_at_limit = job.kill_tree = job.shared = False
    job.keep = job.plan = None
    outcome = backend.run_alone(job)
    error, step, index = outcome.failure
    if error:
        raise standard_error(backend.spawn_failure(job, step, error, index), arguments[0], None)
    return outcome


def _text(data: bytes, codec: tuple[str, str] | None) -> Any:
    """As Popen decodes and translates newlines."""
    if codec is None:
        return data
    text = data.decode(*codec)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


__all__ = ["complete", "plan"]
